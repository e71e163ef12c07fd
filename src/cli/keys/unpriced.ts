/** Warns of a key whose limit in money keeps it from an upstream: calls without a price are refused for it. */
import type { Answer } from '../api.ts'
import type { AdminOptions, Run } from '../command.ts'

type Key = Pick<Answer<'GET /admin/keys/:key'>, 'limits' | 'upstreams'>

export async function warnOfUnpriced(
  { session, api }: Pick<Run<AdminOptions>, 'session' | 'api'>,
  { limits, upstreams }: Key,
): Promise<void> {
  if (!limits.some(({ unit, amount }) => unit === 'cost' && amount !== null)) return
  const { data } = await api.ask('GET /admin/upstreams', {})
  for (const { name, enabled, meter, prices } of data) {
    if (!enabled || meter.kind !== 'tokens' || prices.length > 0) continue
    if (upstreams && !upstreams.includes(name)) continue
    session.io.err(
      `warning: ${name} has no prices, so that it refuses calls of this key, which has a limit in money. Enter some with "quota-proxy prices import --upstream ${name}".\n`,
    )
  }
}
