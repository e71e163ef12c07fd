/** Keys as people read them. */
import type { Answer, Api } from '../api.ts'
import { amount, count, money, time, utc } from '../output/format.ts'
import { renderMembers } from '../output/lines.ts'
import { type Rendered, renderTable } from '../output/list.ts'
import { type Column, printable } from '../output/table.ts'

/** With its secret, in the answers that issue one. */
export type Key = Answer<'GET /admin/keys/:key'> & Partial<Answer<'POST /admin/keys'>>

/** Most names take two lines of these at most. */
const NAME_CHARS = 24
/** What these are wrapped to: `requests`, `(Asia/Shanghai)`, a day above its time. */
const UNIT_CHARS = 8
const ZONE_CHARS = 15
const DAY_CHARS = 10

export const KEY_COLUMNS: readonly Column<Key>[] = [
  { head: 'ID', of: ({ id }) => id, drops: 2 },
  { head: 'NAME', of: ({ name }) => name, wraps: NAME_CHARS },
  { head: 'STATUS', of: ({ status }) => status },
  { head: 'USED', of: ({ used }) => used, right: true },
  { head: 'QUOTA', of: ({ quota }) => amount(quota), right: true },
  { head: 'WINDOW', of: ({ window }) => window },
  { head: 'EXPIRES (UTC)', of: ({ expires_at }) => time(expires_at), drops: 1 },
  { head: 'LAST USED (UTC)', of: ({ last_used_at }) => time(last_used_at), drops: 3 },
]

type Limit = Key['limits'][number]

const limitColumnsIn = (currency: string): readonly Column<Limit>[] => [
  { head: 'LIMIT', of: ({ name }) => name, wraps: true },
  {
    head: 'UNIT',
    of: ({ unit }) => (unit === 'cost' ? `cost (${currency})` : unit),
    wraps: UNIT_CHARS,
  },
  { head: 'WINDOW', of: windowOf, wraps: ZONE_CHARS },
  { head: 'AMOUNT', of: (limit) => units(limit, limit.amount), right: true },
  {
    head: 'CREDITED',
    of: (limit) => units(limit, limit.credited),
    blank: ({ credited }) => credited === 0,
    right: true,
    drops: 2,
  },
  { head: 'USED', of: (limit) => units(limit, limit.used), right: true },
  { head: 'REMAINING', of: (limit) => units(limit, limit.remaining), right: true },
  { head: 'RESETS (UTC)', of: ({ resets_at }) => time(resets_at), wraps: DAY_CHARS, drops: 1 },
]

/** Calendar windows begin in a zone. */
function windowOf({ window, timezone }: Limit): string {
  return ['day', 'week', 'month'].includes(window) && timezone !== 'UTC'
    ? `${window} (${timezone})`
    : window
}

/** Of money, the API counts millionths. */
function units({ unit }: Limit, value: number | null): string {
  return unit === 'cost' && value !== null ? money(value) : amount(value)
}

const RESTRICTIONS = ['upstreams', 'methods', 'paths', 'models', 'ip_allow'] as const

/** Asks for the currency only where there is money to show. */
export function keyRenderer(api: Api) {
  return async (key: Key, width: number | undefined): Promise<Rendered> => {
    const hasMoney = hasCost(key) || key.reserve_max?.cost !== undefined
    const currency = hasMoney ? await api.currency() : ''
    const limits = await renderTable(limitColumnsIn(currency), key.limits, width)
    return { ...limits, text: `${renderMembers(membersOf(key, currency), width)}\n${limits.text}` }
  }
}

function hasCost({ limits }: Key): boolean {
  return limits.some(({ unit }) => unit === 'cost')
}

function membersOf(key: Key, currency: string) {
  const { previous_until, metadata } = key
  const restrictions = RESTRICTIONS.flatMap((name) => {
    const list = key[name]
    return list === null ? [] : [[name.replace('_', '-'), list.join(', ') || 'nothing'] as const]
  })
  return [
    ...(key.key === undefined ? [] : [['key', key.key] as const]),
    ['id', key.id],
    ['name', key.name],
    ['hint', key.hint],
    ['status', key.status],
    ['expires', utc(key.expires_at) ?? 'never'],
    ...(previous_until === null
      ? []
      : [['key before', `works until ${utc(previous_until)}`] as const]),
    ['concurrency', key.concurrency ?? 'unlimited'],
    ...(key.reserve_max === null
      ? []
      : [['reserve-max', amountsOf(key.reserve_max, currency)] as const]),
    ...restrictions,
    ['tags', key.tags.join(', ')],
    ['metadata', Object.keys(metadata).length === 0 ? null : JSON.stringify(metadata)],
    ['created', utc(key.created_at)],
    ['last used', utc(key.last_used_at) ?? 'never'],
  ] as const
}

function amountsOf({ tokens, cost }: NonNullable<Key['reserve_max']>, currency: string): string {
  return [
    ...(tokens === undefined ? [] : [`${count(tokens)} tokens`]),
    ...(cost === undefined ? [] : [`${money(cost)} ${currency}`]),
  ].join(', ')
}

/** One line about a key, for a question or for what was done. */
export function nameOf({ id, name }: Key): string {
  return `${id} (${printable(name)})`
}

export function balanceOf({ used, quota, window }: Key): string {
  const per = window === 'lifetime' ? '' : ` in this ${window}`
  return `${count(used)} of ${amount(quota)} requests used${per}`
}

export const SHOWN_ONCE = 'The key is shown this once and cannot be had again: keep it now.\n'
