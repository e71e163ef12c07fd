/**
 * What a move copies, as no engine says it: the tables in the order of their references, and what each column holds. What only
 * one engine needs (blocks of calls, what replicas have in flight) is not here; the writers make it anew. Pure.
 */
import { storable } from '../../lib/text/storable.ts'

/**
 * `int`, `text` and `bool` are what they are. `bytes` is hexadecimal text, `json` is text in the one form of `canonicalJson`,
 * and `ints` is a list of numbers.
 */
export type Kind = 'int' | 'text' | 'bool' | 'bytes' | 'json' | 'ints'

export type Value = number | string | boolean | null | readonly number[]

/** The values of a row, in the order of its table's columns. */
export type Row = readonly Value[]

export type Column = { readonly name: string; readonly kind: Kind }

export type Table = {
  readonly name: string
  readonly columns: readonly Column[]
  /** The column whose numbers the engine gives out, none of them twice; null if rows have no such number. */
  readonly numbered: string | null
  /** Columns whose sums an operator knows: they are shown beside the numbers of rows. */
  readonly sums: readonly string[]
  /** What tells in short that the rows have not changed, in the SQL of all engines. The first is the number of rows. */
  readonly figures: readonly string[]
}

function columns(text: string): Column[] {
  return text
    .trim()
    .split(/\s+/)
    .map((one) => {
      const [name = '', kind = 'int'] = one.split(':')
      return { name, kind: kind as Kind }
    })
}

const COUNT = 'count(*)'
const highest = (column: string) => `coalesce(max(${column}), 0)`
const sum = (column: string) => `coalesce(sum(${column}), 0)`

export const TABLES: readonly Table[] = [
  {
    name: 'keys',
    columns:
      columns(`seq id:text hash:bytes previous_hash:bytes previous_until hint:text name:text enabled:bool expires_at
      concurrency reserve_max:json scope:json tags:json metadata:json revision created_at updated_at deleted_at`),
    numbered: 'seq',
    sums: [],
    figures: [COUNT, highest('seq'), sum('revision')],
  },
  {
    name: 'limits',
    columns: columns(
      'id key_seq name:text unit:text amount window:text timezone:text week_start:text',
    ),
    numbered: 'id',
    sums: [],
    figures: [COUNT, highest('id')],
  },
  {
    name: 'counters',
    // SQLite knows the unit by the limit. When a counter was retired is not copied: nothing is decided on it.
    columns: columns(
      'id limit_id unit:text period_start period_end amount credited used pruned retired:bool',
    ),
    numbered: 'id',
    sums: ['used', 'credited'],
    figures: [COUNT, highest('id'), sum('used'), sum('credited'), sum('pruned')],
  },
  {
    name: 'upstreams',
    columns: columns(
      'id name:text base_url:text mount:text enabled:bool credential:text settings:json created_at updated_at',
    ),
    numbered: 'id',
    sums: [],
    figures: [COUNT, highest('id'), highest('updated_at')],
  },
  {
    name: 'price_lists',
    columns: columns('id upstream:text at prices:json'),
    numbered: 'id',
    sums: [],
    figures: [COUNT, highest('id')],
  },
  {
    name: 'adjustments',
    columns: columns('id key_seq limit_name:text at kind:text amount reason:text'),
    numbered: 'id',
    sums: ['amount'],
    figures: [COUNT, highest('id')],
  },
  {
    name: 'charged_objects',
    columns: columns('upstream:text object:text at'),
    numbered: null,
    sums: [],
    figures: [COUNT, highest('at')],
  },
  {
    name: 'usage_hourly',
    columns:
      columns(`hour key_seq upstream:text model:text calls failed requests tokens cost bytes_in bytes_out latency_ms
      estimated`),
    numbered: null,
    sums: ['calls', 'requests', 'tokens', 'cost'],
    figures: [COUNT, sum('calls')],
  },
  {
    name: 'calls',
    columns:
      columns(`seq key_seq at upstream:text request_id:text outcome:text status requests_reserved requests_charged
      tokens_reserved tokens_charged cost_reserved cost_charged latency_ms bytes_in bytes_out model:text tokens_input
      tokens_output tokens_cached tokens_reasoning estimated:bool price_list_id counters:ints usage_parts:json`),
    numbered: null,
    sums: ['requests_charged', 'tokens_charged', 'cost_charged'],
    figures: [COUNT, highest('seq')],
  },
]

/** Throws if there is no such table: names are written in this program. */
export function tableNamed(name: string): Table {
  const table = TABLES.find((one) => one.name === name)
  if (!table) throw new Error(`there is no table ${name}`)
  return table
}

/** Where a column stands in a row. */
export function place({ columns: all }: Table, name: string): number {
  return all.findIndex((column) => column.name === name)
}

/** A value of a column as its engine gives it, made what it is for all engines. */
export function neutral(kind: Kind, raw: unknown): Value {
  if (raw === null || raw === undefined) return null
  if (kind === 'bool') return raw === true || raw === 1
  if (kind === 'int') return Number(raw)
  if (kind === 'ints') return JSON.parse(String(raw)) as number[]
  return kind === 'json' ? canonicalJson(String(raw)) : storable(String(raw))
}

/** One text for one value: names in order, no spaces. Engines keep neither. */
export function canonicalJson(text: string): string {
  return JSON.stringify(ordered(JSON.parse(text)))
}

function ordered(value: unknown): unknown {
  if (typeof value === 'string') return storable(value)
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(ordered)
  const members = Object.entries(value).map(
    ([name, one]) => [storable(name), ordered(one)] as const,
  )
  // Not by assignment: a member may be called __proto__.
  return Object.fromEntries(members.sort(([a], [b]) => (a < b ? -1 : Number(a > b))))
}
