/** Reads the tables of a move from PostgreSQL, page by page in the order of a key of each. */
import { type Cursor, PAGE_ROWS, type Reader } from '../../move/ports.ts'
import { type Column, type Kind, neutral, type Table } from '../../move/tables.ts'
import type { Session } from './session.ts'

/** The key in whose order a table is read, with the types of its columns. */
const KEYS: Readonly<Record<string, Readonly<Record<string, 'bigint' | 'text'>>>> = {
  keys: { seq: 'bigint' },
  charged_objects: { upstream: 'text', object: 'text' },
  usage_hourly: { key_seq: 'bigint', hour: 'bigint', upstream: 'text', model: 'text' },
  calls: { seq: 'bigint' },
}
const BY_ID = { id: 'bigint' } as const

const EXPRESSIONS: Readonly<Partial<Record<Kind, (column: string) => string>>> = {
  bytes: (column) => `encode(${column}, 'hex')`,
  json: (column) => `${column}::text`,
  ints: (column) => `to_json(${column})::text`,
}

const HOLDS = `SELECT seq, key_seq, at, upstream, request_id, requests, tokens, cost, to_json(counters)::text
  FROM holds ORDER BY seq`

export function createPostgresReader(session: Session): Reader {
  return {
    async page(table, after) {
      const found = await session.rows(pageOf(table, after !== null), after ?? [])
      const { columns } = table
      const rows = found.map((row) => columns.map(({ kind }, i) => neutral(kind, row[i])))
      const last = found.length < PAGE_ROWS ? undefined : found.at(-1)
      return { rows, next: last ? (last.slice(columns.length) as unknown as Cursor) : null }
    },

    async figures({ name, figures }) {
      const texts = figures.map((figure) => `(${figure})::text`)
      const [row = []] = await session.rows(`SELECT ${texts.join(', ')} FROM ${name}`)
      return row.map(String)
    },

    async holds() {
      const rows = await session.rows(HOLDS)
      return rows.map(
        ([seq, keySeq, at, upstream, requestId, requests, tokens, cost, counters]) => ({
          ...{ seq: Number(seq), keySeq: Number(keySeq), at: Number(at) },
          ...{ upstream: String(upstream), requestId: String(requestId) },
          ...{ requests: Number(requests), tokens: Number(tokens), cost: Number(cost) },
          counters: JSON.parse(String(counters)) as number[],
        }),
      )
    },

    async hasUsage({ hour, keySeq, upstream, model }) {
      const found = await session.rows(
        'SELECT 1 FROM usage_hourly WHERE hour = $1 AND key_seq = $2 AND upstream = $3 AND model = $4',
        [hour, keySeq, upstream, model],
      )
      return found.length > 0
    },
  }
}

function pageOf({ name, columns }: Table, isLater: boolean): string {
  const key = KEYS[name] ?? BY_ID
  const names = Object.keys(key).join(', ')
  const from = Object.values(key).map((type, i) => `$${i + 1}::${type}`)
  const where = isLater ? `WHERE (${names}) > (${from.join(', ')})` : ''
  return `SELECT ${columns.map(expression).join(', ')}, ${names} FROM ${name} ${where}
    ORDER BY ${names} LIMIT ${PAGE_ROWS}`
}

function expression({ name, kind }: Column): string {
  if (name === 'retired') return 'retired_at IS NOT NULL'
  // "window" is a word of SQL.
  const quoted = `"${name}"`
  return EXPRESSIONS[kind]?.(quoted) ?? quoted
}
