/** Reads the tables of a move from SQLite, page by page in the order of a key of each. */
import type { Database } from 'bun:sqlite'
import { type Cursor, type OpenHold, PAGE_ROWS, type Reader } from '../../move/ports.ts'
import { type Column, neutral, type Table } from '../../move/tables.ts'
import { ask } from '../transact.ts'

/** The key in whose order a table is read. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  keys: ['seq'],
  charged_objects: ['upstream', 'object'],
  calls: ['seq'],
}
const BY_ID = ['id']

/** Columns that are here by another name, or not at all. */
const EXPRESSIONS: Readonly<Record<string, string>> = {
  'counters.unit': '(SELECT unit FROM limits WHERE limits.id = limit_id)',
  'counters.retired': 'retired_seq IS NOT NULL',
}

const HOLDS = `SELECT seq, key_seq AS keySeq, at, upstream, request_id AS requestId, requests, tokens, cost, counters
  FROM holds ORDER BY seq`

export function createSqliteReader(client: Database): Reader {
  return {
    page: (table, after) =>
      ask(() => {
        const found = client.query(pageOf(table, after !== null)).values(...(after ?? []))
        const { columns } = table
        const rows = found.map((row) => columns.map(({ kind }, i) => neutral(kind, row[i])))
        const last = found.length < PAGE_ROWS ? undefined : found.at(-1)
        return { rows, next: last ? (last.slice(columns.length) as unknown as Cursor) : null }
      }),

    figures: ({ name, figures }) =>
      ask(() => {
        const texts = figures.map((figure) => `CAST(${figure} AS TEXT)`)
        const [row = []] = client.query(`SELECT ${texts.join(', ')} FROM ${name}`).values()
        return row.map(String)
      }),

    holds: () =>
      ask(() =>
        client
          .query<Omit<OpenHold, 'counters'> & { counters: string }, []>(HOLDS)
          .all()
          .map((row) => ({ ...row, counters: JSON.parse(row.counters) as number[] })),
      ),

    hasUsage: ({ hour, keySeq, upstream, model }) =>
      ask(() => {
        const find = client.query(
          'SELECT 1 FROM usage_hourly WHERE hour = ? AND key_seq = ? AND upstream = ? AND model = ?',
        )
        return find.get(hour, keySeq, upstream, model) !== null
      }),
  }
}

function pageOf(table: Table, isLater: boolean): string {
  const key = KEYS[table.name] ?? BY_ID
  const names = key.join(', ')
  const where = isLater ? `WHERE (${names}) > (${key.map(() => '?').join(', ')})` : ''
  const expressions = table.columns.map((column) => expression(table, column))
  return `SELECT ${expressions.join(', ')}, ${names} FROM ${table.name} ${where}
    ORDER BY ${names} LIMIT ${PAGE_ROWS}`
}

function expression({ name: table }: Table, { name, kind }: Column): string {
  const other = EXPRESSIONS[`${table}.${name}`]
  if (other !== undefined) return other
  return kind === 'bytes'
    ? `CASE WHEN "${name}" IS NOT NULL THEN lower(hex("${name}")) END`
    : `"${name}"`
}
