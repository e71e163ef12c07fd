/** Warns of a key whose limit in money keeps it from an upstream: calls without a price are refused for it. */
import type { Answer } from '../api.ts'
import type { AdminOptions, Run } from '../command.ts'

type Key = Pick<Answer<'GET /admin/keys/:key'>, 'limits' | 'upstreams'>

export async function warnOfUnpriced(
  { session, api }: Pick<Run<AdminOptions>, 'session' | 'api'>,
  keys: readonly Key[],
): Promise<void> {
  const limited = keys.filter(({ limits }) =>
    limits.some(({ unit, amount }) => unit === 'cost' && amount !== null),
  )
  if (limited.length === 0) return
  const { data } = await api.ask('GET /admin/upstreams', {})
  for (const { name, enabled, meter, prices, source } of data) {
    if (!enabled || meter.kind !== 'tokens' || prices.length > 0) continue
    if (!limited.some(({ upstreams }) => upstreams?.includes(name) ?? true)) continue
    const advice =
      source === 'environment'
        ? 'It is the one of UPSTREAM_BASE_URL, which takes none: add one with "quota-proxy upstreams create".'
        : `Enter some with "quota-proxy prices import --upstream ${name}".`
    session.io.err(
      `warning: ${name} has no prices, so that it refuses calls of keys with a limit in money. ${advice}\n`,
    )
  }
}
