/** Prices as people read them: decimals of a unit of money, for a million tokens or for one thing. */
import type { Answer } from '../api.ts'
import { count, money } from '../output/format.ts'
import type { Column } from '../output/table.ts'

export type ApiPrice = Answer<'GET /admin/upstreams/:name'>['prices'][number]

/** These have columns of their own. */
const COLUMNS = ['input', 'cached_input', 'output'] as const

/** One price, or how it changes: what stays the same is said once. */
export type Shift = { readonly from: ApiPrice | null; readonly to: ApiPrice | null }

export const PRICE_COLUMNS: readonly Column<Shift>[] = [
  { head: 'MODEL', of: ({ from, to }) => (to ?? from)?.model ?? null, wraps: true },
  ...COLUMNS.map((name) => ({
    head: name.toUpperCase().replace('_INPUT', ''),
    of: (shift: Shift) => arrow(shift, (price) => shown(price[name])),
    right: true as const,
  })),
  { head: 'OTHERS', of: (shift) => arrow(shift, others), wraps: true },
]

/** The line under a table of prices. */
export function unitsOf(currency: string): string {
  return `In ${currency} for a million tokens, or for one call, image or second.`
}

/** `gpt-4o: input 2.50, output 10.00`. */
export function priceLine({ model, long_context, ...prices }: ApiPrice): string {
  return `${model}: ${joined(list(prices, []), far(long_context))}`
}

function arrow({ from, to }: Shift, of: (price: ApiPrice) => string | null): string | null {
  const [before, after] = [from && of(from), to && of(to)]
  if (!from || !to || before === after) return after ?? before
  return `${before ?? '-'} → ${after ?? '-'}`
}

function shown(micros: number | undefined): string | null {
  return micros === undefined ? null : money(micros)
}

function others({ model: _, long_context, ...prices }: ApiPrice): string | null {
  return joined(list(prices, COLUMNS), far(long_context)) || null
}

function far(prices: ApiPrice['long_context']): string {
  if (!prices) return ''
  const { above, ...long } = prices
  return `above ${count(above)}: ${list(long, [])}`
}

function joined(...texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join('; ')
}

function list(prices: Readonly<Record<string, number | undefined>>, without: readonly string[]) {
  return Object.entries(prices)
    .filter(([name, micros]) => micros !== undefined && !without.includes(name))
    .map(([name, micros]) => `${name} ${money(micros ?? 0)}`)
    .join(', ')
}
