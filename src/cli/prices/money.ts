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

export const PER_MILLION = 'Money for a million tokens, or for one call, image or second.'

function arrow({ from, to }: Shift, of: (price: ApiPrice) => string | null): string | null {
  const [before, after] = [from && of(from), to && of(to)]
  if (!from || !to || before === after) return after ?? before
  return `${before ?? '-'} → ${after ?? '-'}`
}

function shown(micros: number | undefined): string | null {
  return micros === undefined ? null : money(micros)
}

function others({ model: _, long_context, ...prices }: ApiPrice): string | null {
  const plain = list(prices, COLUMNS)
  const above = long_context?.above ?? 0
  const { above: _above, ...long } = long_context ?? {}
  const far = long_context ? `above ${count(above)}: ${list(long, [])}` : ''
  return [plain, far].filter((text) => text !== '').join('; ') || null
}

function list(prices: Readonly<Record<string, number | undefined>>, without: readonly string[]) {
  return Object.entries(prices)
    .filter(([name, micros]) => micros !== undefined && !without.includes(name))
    .map(([name, micros]) => `${name} ${money(micros ?? 0)}`)
    .join(', ')
}
