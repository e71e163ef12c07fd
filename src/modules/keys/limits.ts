/** The limits of a key as the API writes them, and as the store keeps them. */

import { type KeyRecord, MAIN_LIMIT, type NamedLimit } from '../../domain/key.ts'
import { isTimeZone } from '../../domain/limit.ts'
import type { FieldError } from '../../errors.ts'
import type { CreateKey, UpdateKey } from './model.ts'

type MainLimitFields = Pick<UpdateKey, 'quota' | 'window' | 'timezone' | 'week_start'>

export function mainLimit(input: MainLimitFields, before: NamedLimit | null): NamedLimit {
  return {
    name: MAIN_LIMIT,
    unit: 'requests',
    amount: input.quota === undefined ? (before?.amount ?? null) : input.quota,
    window: input.window ?? before?.window ?? 'lifetime',
    timezone: input.timezone ?? before?.timezone ?? 'UTC',
    weekStart: input.week_start ?? before?.weekStart ?? 'monday',
  }
}

export function furtherLimits(limits: NonNullable<CreateKey['limits']>): NamedLimit[] {
  return limits.map(({ name, unit, amount, window, timezone, week_start }) => ({
    name: name ?? `${unit}-${window}`,
    unit,
    amount,
    window,
    timezone: timezone ?? 'UTC',
    weekStart: week_start ?? 'monday',
  }))
}

/** The whole new list; undefined if the change touches no limit. */
export function changedLimits(record: KeyRecord, input: UpdateKey): NamedLimit[] | undefined {
  const fields = [input.quota, input.window, input.timezone, input.week_start, input.limits]
  if (fields.every((field) => field === undefined)) return undefined
  const existing = record.limits.map(({ name, unit, amount, window, timezone, weekStart }) => ({
    name,
    unit,
    amount,
    window,
    timezone,
    weekStart,
  }))
  const main = mainLimit(input, existing.find((limit) => limit.name === MAIN_LIMIT) ?? null)
  const others = input.limits
    ? furtherLimits(input.limits)
    : existing.filter((limit) => limit.name !== MAIN_LIMIT)
  return [main, ...others]
}

export function checkLimits(limits: readonly NamedLimit[], errors: FieldError[]): void {
  limits.forEach((limit, i) => {
    const path = i === 0 ? 'timezone' : `limits.${i - 1}.timezone`
    if (!isTimeZone(limit.timezone))
      errors.push({ path, message: 'must be an IANA time zone, such as Europe/Berlin' })
    if (limits.findIndex((other) => other.name === limit.name) !== i) {
      errors.push({
        path: `limits.${i - 1}.name`,
        message: `must be unique within the key, and not "${MAIN_LIMIT}"`,
      })
    }
  })
}
