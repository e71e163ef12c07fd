/**
 * Reads the time of day; nothing else does. Everything else gets an instant as an argument, so that
 * tests can choose it.
 */

/** Milliseconds since the epoch, UTC. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()

/**
 * Runs with the monotonic clock. Changes of the machine's clock count only when `step` takes them
 * over.
 */
export type SteadyClock = {
  /** Never runs backwards or ahead of the time that has really passed, apart from steps. */
  now(): number
  /**
   * Takes over the machine's clock. Returns by how many ms that was put forward, negative if back.
   */
  step(): number
}

/** Less than a bucket of any window, and more than reading two clocks takes on a busy machine. */
const STEP_MS_MIN = 250

/**
 * A thread that is delayed between two readings sees a false step, but hardly three times in a row.
 */
const READINGS = 3

export function createSteadyClock(wall: Clock, elapsedMs: () => number): SteadyClock {
  let base = wall() - elapsedMs()
  const now = () => Math.floor(base + elapsedMs())
  return {
    now,
    step() {
      let step = wall() - now()
      for (let i = 1; i < READINGS && Math.abs(step) >= STEP_MS_MIN; i++) step = wall() - now()
      if (Math.abs(step) < STEP_MS_MIN) return 0
      base += step
      return step
    },
  }
}

/**
 * An instant as the API writes it: ISO 8601 UTC, with milliseconds only if it has any
 * (`2026-02-17T00:00:00Z`).
 */
export function formatInstant(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z')
}

/** Returns a function that writes an instant as `toISOString` does, for whoever does so for every call. */
export function createIsoTime(): (at: number) => string {
  /** The second that was written last, and its text up to the milliseconds. */
  let second = Number.NaN
  let text = ''
  return (at) => {
    const own = Math.floor(at / 1000)
    if (own !== second) {
      second = own
      text = new Date(own * 1000).toISOString().slice(0, -4)
    }
    const ms = at - own * 1000
    return `${text}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z`
  }
}

/** ISO 8601 in the basic format, to the second (`20260217T000000Z`): for names of files. */
export function compact(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
}

/** RFC 3339 section 5.6: a date and a time with an offset. No clock is finer than nanoseconds. */
export const INSTANT =
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[Zz]|[+-][0-9]{2}:[0-9]{2})$/

/** The sentence for a text that `parseInstant` refuses. */
export const INSTANT_RULE = 'must be a date and time with an offset, such as 2026-12-31T00:00:00Z'

/** The last instant whose year has four digits, with any offset. */
const INSTANT_MAX = Date.UTC(10_000, 0) - 1

/**
 * Null unless the text is an instant from 1970 to 9999. Temporal refuses days that do not exist,
 * which Date would roll over.
 */
export function parseInstant(text: string): number | null {
  if (!INSTANT.test(text)) return null
  try {
    const at = Temporal.Instant.from(text).epochMilliseconds
    // RFC 3339 section 5.7: a leap second ends a day of UTC. Temporal takes a second 60 anywhere,
    // as the one before it.
    if (text.slice(17, 19) === '60' && !isEndOfDay(at)) return null
    return at >= 0 && at <= INSTANT_MAX ? at : null
  } catch {
    return null
  }
}

function isEndOfDay(at: number): boolean {
  const { hour, minute } = Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO('UTC')
  return hour === 23 && minute === 59
}
