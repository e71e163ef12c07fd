/** Upstreams as people read them: one with every field of the API, since any of them may be what is looked for. */
import type { Answer, Api } from '../api.ts'
import { count, money, span } from '../output/format.ts'
import { renderMembers } from '../output/lines.ts'
import type { Cell, Column } from '../output/table.ts'
import { priceLine } from '../prices/money.ts'

export type Upstream = Answer<'GET /admin/upstreams/:name'>

export const UPSTREAM_COLUMNS: readonly Column<Upstream>[] = [
  { head: 'NAME', of: ({ name }) => name },
  // Whole for as long as there is something else to leave out: it is to be copied.
  { head: 'BASE URL', of: ({ base_url }) => base_url, wraps: Number.POSITIVE_INFINITY },
  { head: 'MOUNT', of: ({ mount }) => mount },
  // Worth its room where one is not.
  {
    head: 'ENABLED',
    of: ({ enabled }) => (enabled ? 'yes' : 'no'),
    blank: ({ enabled }) => enabled,
  },
  { head: 'CREDENTIAL', of: ({ credential }) => (credential?.set ? 'set' : null), drops: 1 },
  { head: 'METER', of: ({ meter }) => meter.kind, drops: 3 },
  { head: 'PRICES', of: ({ prices }) => prices.length, right: true, drops: 2 },
  { head: 'FROM', of: ({ source }) => source, drops: 4 },
]

/** More are a table of their own. */
const SHOWN_PRICES_MAX = 10

/** Asks for the currency only where there is money to show. */
export function upstreamRenderer(api: Api) {
  return async (upstream: Upstream, width: number | undefined): Promise<string> => {
    const hasMoney = upstream.prices.length > 0 || upstream.meter.unit === 'cost'
    const currency = hasMoney ? await api.currency() : ''
    const readable: Readonly<Record<string, Cell | readonly string[]>> = {
      credential: credentialOf(upstream),
      timeouts: timeoutsOf(upstream),
      costs: upstream.costs.map(costLine),
      meter: meterOf(upstream, currency),
      prices: pricesOf(upstream, currency),
    }
    const members = Object.entries(upstream).map(
      ([name, value]) =>
        [name, name in readable ? (readable[name] ?? null) : plain(value)] as const,
    )
    return renderMembers(members, width)
  }
}

function plain(value: Upstream[keyof Upstream]): Cell | readonly string[] {
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.join(', ')
  return Object.entries(value).map(([name, text]) => `${name}: ${text}`)
}

function credentialOf({ credential }: Upstream): string | null {
  if (credential === null) return null
  const { header, query, template, set } = credential
  const place = query === undefined ? `the header ${header}` : `the query parameter ${query}`
  return `${set ? 'set' : 'not set'}, in ${place} as ${template}`
}

function timeoutsOf({ timeouts }: Upstream): string | null {
  const own = Object.entries(timeouts).flatMap(([name, ms]) =>
    ms === null ? [] : [`${name.replace('_ms', '').replace('_', ' ')}: ${duration(ms)}`],
  )
  return own.length > 0 ? own.join(', ') : null
}

function duration(ms: number): string {
  return ms % 1000 === 0 ? span(ms / 1000) : `${count(ms)} ms`
}

function costLine({ method, path, requests }: Upstream['costs'][number]): string {
  return `${method ?? 'any method'} ${path}: ${count(requests)} requests`
}

function meterOf({ meter }: Upstream, currency: string): string {
  const { kind, path, unit, estimate = 0, output_tokens_default: tokens } = meter
  if (kind === 'tokens')
    return `tokens; reserves ${count(tokens ?? 0)} for an answer that names no limit`
  if (kind === 'none') return 'none'
  const units = unit === 'cost' ? `${money(estimate)} ${currency}` : `${count(estimate)} tokens`
  return `${path} of the answer, in ${unit}; reserves ${units}`
}

/** One model a line. */
function pricesOf({ name, prices }: Upstream, currency: string): string | readonly string[] | null {
  if (prices.length === 0) return null
  if (prices.length > SHOWN_PRICES_MAX)
    return `${count(prices.length)} models; to list them: quota-proxy prices list --upstream ${name}`
  return prices.map((price) => `${priceLine(price)} (${currency})`)
}
