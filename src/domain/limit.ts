/**
 * A limit: an amount of a unit per window. Units, windows and week starts are listed here and
 * nowhere else; API, schema and CLI take the lists from here. Pure.
 */

export const UNITS = ['requests', 'tokens', 'cost'] as const
export type Unit = (typeof UNITS)[number]

export const WINDOWS = ['lifetime', 'minute', 'hour', 'day', 'week', 'month'] as const
export type Window = (typeof WINDOWS)[number]

export const WEEK_STARTS = ['monday', 'sunday', 'saturday'] as const
export type WeekStart = (typeof WEEK_STARTS)[number]

/**
 * `amount` is an integer from 0 to AMOUNT_MAX; null is unlimited, 0 denies. An amount of `cost` is
 * in micro-units of money. Only calendar windows use `timezone` and `weekStart`.
 */
export type LimitSpec = {
  unit: Unit
  amount: number | null
  window: Window
  timezone: string
  weekStart: WeekStart
}

/** What all money is counted in, as ISO 4217 writes it. */
export const CURRENCY = /^[A-Z]{3}$/

/** The largest amount of a limit, a credit or both together. */
export const AMOUNT_MAX = Number.MAX_SAFE_INTEGER

export const LIMIT_NAME = /^[a-z][a-z0-9-]{0,31}$/

/** What a limit has unless the operator says otherwise. */
export const LIMIT_DEFAULTS = { window: 'lifetime', timezone: 'UTC', weekStart: 'monday' } as const

/**
 * The most calls in flight that a key or an upstream may be given; a larger number is a typing
 * error.
 */
export const CONCURRENCY_MAX = 100_000

/** The form of an IANA time zone. */
export const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/
export const ZONE_RULE = 'must be an IANA time zone, such as Europe/Berlin'

/**
 * Whether `name` is an IANA time zone that this runtime knows, in any letter case. An offset such
 * as "+08:00" is refused: it knows no daylight saving, so it is rarely the zone that was meant.
 */
export function isTimeZone(name: string): boolean {
  if (!ZONE_NAME.test(name)) return false
  try {
    // Only the constructor insists on a bare name; the rest of Temporal finds one in ISO strings.
    new Temporal.ZonedDateTime(0n, name)
    return true
  } catch {
    return false
  }
}

export type Units = { readonly [unit in Unit]: number }

export const NO_UNITS: Units = { requests: 0, tokens: 0, cost: 0 }

/** The least of each unit that is consumed. */
export function leastOf(units: Units): Units {
  const least = { ...NO_UNITS }
  for (const unit of UNITS) least[unit] = Math.min(units[unit], 1)
  return least
}

/** One limit as a holder sees it after a charge. */
export type Balance = {
  readonly name: string
  readonly unit: Unit
  readonly window: Window
  /** Amount of this period with credits; null is unlimited. */
  readonly amount: number | null
  readonly used: number
  /** Never negative; null is unlimited. */
  readonly remaining: number | null
  /** Length of the window in whole seconds; null for a lifetime. */
  readonly windowS: number | null
  /** When the window ends (for a sliding one, when units come back); null for a lifetime. */
  readonly resetsAt: number | null
}

/** The same balance with another amount used. */
export function withUsed(balance: Balance, used: number): Balance {
  return { ...balance, used, remaining: remainingOf(balance.amount, used) }
}

/**
 * Never negative, although more can be used than there is: an operator may take units back, and a
 * call may cost more than its estimate.
 */
export function remainingOf(amount: number | null, used: number): number | null {
  return amount === null ? null : Math.max(0, amount - used)
}
