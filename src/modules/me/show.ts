/** A key and its usage, as its holder is shown them. */
import type { KeyRecord, LimitView } from '../../domain/key.ts'
import {
  NO_USAGE,
  type PeriodUsage,
  type UpstreamUsage,
  type UsageTotals,
} from '../../domain/usage.ts'
import { showInstant } from '../../http/fields/instant.ts'
import { showUsageSums } from '../../http/fields/usage-sums.ts'
import { formatInstant } from '../../lib/clock.ts'
import { show } from '../keys/show.ts'

export function showOwn(record: KeyRecord, at: number, currency: string) {
  const { id, hint, name, status, expires_at, concurrency, created_at, last_used_at, ...rest } =
    show(record, at)
  const { upstreams, methods, paths, models, ip_allow } = rest
  return {
    id, hint, name, status, expires_at,
    limits: record.limits.map(showLimit), currency,
    concurrency, upstreams, methods, paths, models, ip_allow, created_at, last_used_at,
  } // biome-ignore format: as the schema
}

/** The amount with the credits of the present period, as in `X-Quota-Limit`; null is unlimited. */
export function presentAmount({ amount, credited }: LimitView): number | null {
  // An operator may take back more than there is, which leaves nothing.
  return amount === null ? null : Math.max(0, amount + credited)
}

function showLimit(limit: LimitView) {
  const { name, unit, window, used, remaining } = limit
  const resets_at = showInstant(limit.resetsAt)
  return { name, unit, window, amount: presentAmount(limit), used, remaining, resets_at }
}

/** The sums of one hour or day, which is `ms` long. */
export function showPeriod(sums: PeriodUsage, ms: number) {
  return { ...span(sums.from, sums.from + ms), ...showUsageSums(sums) }
}

/** The sum over all upstreams, and each of them. */
export function showTotal(
  upstreams: readonly UpstreamUsage[],
  { from, to }: { readonly from: number; readonly to: number },
) {
  const by_upstream = upstreams.map((one) => ({ upstream: one.upstream, ...showUsageSums(one) }))
  return { ...span(from, to), ...showUsageSums(upstreams.reduce(add, NO_USAGE)), by_upstream }
}

function span(from: number, to: number) {
  return { from: formatInstant(from), to: formatInstant(to) }
}

function add(sum: UsageTotals, one: UsageTotals): UsageTotals {
  return {
    calls: sum.calls + one.calls,
    failed: sum.failed + one.failed,
    estimated: sum.estimated + one.estimated,
    requests: sum.requests + one.requests,
    tokens: sum.tokens + one.tokens,
    cost: sum.cost + one.cost,
    bytesIn: sum.bytesIn + one.bytesIn,
    bytesOut: sum.bytesOut + one.bytesOut,
  }
}
