/** Keys as people read them. */
import {
  amount,
  type Column,
  count,
  printable,
  renderMembers,
  renderTable,
  time,
} from '../table.ts'

type Limit = {
  readonly name: string
  readonly unit: string
  readonly amount: number | null
  readonly window: string
  readonly credited: number
  readonly used: number
  readonly remaining: number | null
  readonly resets_at: string | null
}

const RESTRICTIONS = ['upstreams', 'methods', 'paths', 'models', 'ip_allow'] as const

export type Key = Readonly<Record<(typeof RESTRICTIONS)[number], readonly string[] | null>> & {
  /** The secret, in the answers that issue one. */
  readonly key?: string
  readonly id: string
  readonly hint: string
  readonly name: string
  readonly quota: number | null
  readonly used: number
  readonly remaining: number | null
  readonly window: string
  readonly expires_at: string | null
  readonly previous_until: string | null
  readonly status: string
  readonly concurrency: number | null
  readonly limits: readonly Limit[]
  readonly tags: readonly string[]
  readonly metadata: Readonly<Record<string, unknown>>
  readonly created_at: string
  readonly last_used_at: string | null
}

export const KEY_COLUMNS: readonly Column<Key>[] = [
  { head: 'ID', of: ({ id }) => id },
  { head: 'NAME', of: ({ name }) => name, shrinks: true },
  { head: 'STATUS', of: ({ status }) => status },
  { head: 'USED', of: ({ used }) => used, right: true },
  { head: 'QUOTA', of: ({ quota }) => amount(quota), right: true },
  { head: 'WINDOW', of: ({ window }) => window },
  { head: 'EXPIRES (UTC)', of: ({ expires_at }) => time(expires_at) },
  { head: 'LAST USED (UTC)', of: ({ last_used_at }) => time(last_used_at) },
]

const LIMIT_COLUMNS: readonly Column<Limit>[] = [
  { head: 'LIMIT', of: ({ name }) => name },
  { head: 'UNIT', of: ({ unit }) => unit },
  { head: 'WINDOW', of: ({ window }) => window },
  { head: 'AMOUNT', of: (limit) => amount(limit.amount), right: true },
  { head: 'CREDITED', of: ({ credited }) => credited, right: true },
  { head: 'USED', of: ({ used }) => used, right: true },
  { head: 'REMAINING', of: ({ remaining }) => amount(remaining), right: true },
  { head: 'RESETS (UTC)', of: ({ resets_at }) => time(resets_at) },
]

export async function renderKey(key: Key): Promise<string> {
  const restrictions = RESTRICTIONS.flatMap((name) => {
    const list = key[name]
    return list === null ? [] : [[name.replace('_', '-'), list.join(', ') || 'nothing'] as const]
  })
  const members = [
    ...(key.key === undefined ? [] : [['key', key.key] as const]),
    ['id', key.id],
    ['name', key.name],
    ['hint', key.hint],
    ['status', key.status],
    ['expires', utc(key.expires_at) ?? 'never'],
    ...(key.previous_until === null
      ? []
      : [['key before', `works until ${utc(key.previous_until)}`] as const]),
    ['concurrency', key.concurrency ?? 'unlimited'],
    ...restrictions,
    ['tags', key.tags.join(', ')],
    ['metadata', Object.keys(key.metadata).length === 0 ? null : JSON.stringify(key.metadata)],
    ['created', utc(key.created_at)],
    ['last used', utc(key.last_used_at) ?? 'never'],
  ] as const
  return `${renderMembers(members)}\n${await renderTable(LIMIT_COLUMNS, key.limits, undefined)}`
}

/** One line about a key, for a question or for what was done. */
export function nameOf({ id, name }: Key): string {
  return `${id} (${printable(name)})`
}

export function balanceOf({ used, quota, window }: Key): string {
  const per = window === 'lifetime' ? '' : ` in this ${window}`
  return `${count(used)} of ${amount(quota)} requests used${per}`
}

function utc(instant: string | null): string | null {
  return instant === null ? null : `${time(instant)} UTC`
}
