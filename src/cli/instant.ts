/** Instants and durations as people at a keyboard write them. */
import { formatInstant, parseInstant } from '../lib/clock.ts'

const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
}
const SHORT = /^(\d{1,7})([smhdw])$/
/** Nobody counts seconds to a day in another month. */
const LONG = /^(\d{1,5})([mhdw])$/
const DAY = /^\d{4}-\d{2}-\d{2}$/

/** Of a duration such as `24h`; null if it is none. */
export function secondsOf(text: string): number | null {
  const ms = durationMs(text, SHORT)
  return ms === null ? null : ms / 1000
}

/**
 * An instant as the API takes it; null if it is none. A day begins in `zone`, and a duration such as `30d` goes from `now`
 * into the future, or into the past.
 */
export function instantOf(
  text: string,
  { now, zone, goes }: { readonly now: number; readonly zone: string; readonly goes: 1 | -1 },
): string | null {
  const ms = durationMs(text, LONG)
  if (ms !== null) return formatInstant(now + goes * ms)
  if (DAY.test(text)) return startOfDay(text, zone)
  return parseInstant(text) === null ? null : text
}

function durationMs(text: string, form: RegExp): number | null {
  const [, number, unit = ''] = form.exec(text) ?? []
  const unitMs = UNITS_MS[unit]
  return unitMs === undefined ? null : Number(number) * unitMs
}

function startOfDay(text: string, zone: string): string | null {
  try {
    const start = Temporal.PlainDate.from(text).toZonedDateTime(zone)
    return formatInstant(start.epochMilliseconds)
  } catch {
    return null
  }
}
