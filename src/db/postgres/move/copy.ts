/** Writes the rows of a move into PostgreSQL: a page and how far the copy is, in one transaction. */
import type { Copy, Marker, Numbers } from '../../move/ports.ts'
import { type Column, type Kind, type Row, TABLES, type Table } from '../../move/tables.ts'
import { createPostgresReader } from './reader.ts'
import type { Session } from './session.ts'
import { UNFINISHED } from './unfinished.ts'

export type CopyOptions = {
  readonly marker: Marker
  /** Of this process: another one that takes over writes its own. */
  readonly run: string
  readonly numbers: Numbers
}

const TYPES: Readonly<Record<Kind, string>> = {
  int: 'bigint',
  text: 'text',
  bool: 'boolean',
  bytes: 'text',
  json: 'text',
  ints: 'bigint[]',
}

export function createPostgresCopy(session: Session, { marker, run, numbers }: CopyOptions): Copy {
  const note = async (changed: Marker) => {
    const update = `UPDATE ${UNFINISHED} SET marker = $1 WHERE run = $2 RETURNING 1`
    const mine = await session.rows(update, [JSON.stringify(changed), run])
    if (mine.length === 0)
      throw new Error('Another "migrate-data" has taken over this copy, and goes on with it.')
  }
  return {
    reader: createPostgresReader(session),
    progress: marker.progress,
    write: (table, rows, progress) =>
      session.transact(async () => {
        await note({ ...marker, progress })
        if (rows.length > 0)
          await session.rows(insertInto(table, marker.at), [asObjects(table, rows)])
      }),
    spoil: () => session.transact(() => note({ ...marker, state: '' })),
    async finish() {
      await session.transact(async () => {
        await note(marker)
        for (const set of settings(numbers)) await session.rows(set)
        await session.rows(`DROP TABLE ${UNFINISHED}`)
      })
      // It knows nothing of so many new rows yet, and would plan badly.
      await session.rows('ANALYZE')
    },
  }
}

function asObjects({ columns }: Table, rows: readonly Row[]): string {
  return JSON.stringify(
    rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i]]))),
  )
}

function insertInto({ name, columns }: Table, at: number): string {
  const more = extras(name, at)
  const names = columns
    .filter((column) => column.name !== 'retired')
    .map((column) => `"${column.name}"`)
  const values = columns.filter((column) => column.name !== 'retired').map(expression)
  const types = columns.map((column) => `"${column.name}" ${TYPES[column.kind]}`)
  return `INSERT INTO ${name} (${[...names, ...Object.keys(more)].join(', ')})
    SELECT ${[...values, ...Object.values(more)].join(', ')} FROM json_to_recordset($1::json) AS x(${types.join(', ')})`
}

/** What only this engine keeps. When a counter was retired is not known, and nothing depends on it. */
function extras(name: string, at: number): Readonly<Record<string, string>> {
  if (name === 'counters') return { retired_at: `CASE WHEN x.retired THEN ${at} END` }
  if (name === 'upstreams') return { revision: '(SELECT upstreams_revision FROM installation)' }
  return {}
}

function expression({ name, kind }: Column): string {
  const value = `x."${name}"`
  if (kind === 'bytes') return `decode(${value}, 'hex')`
  return kind === 'json' ? `${value}::jsonb` : value
}

/** No number is given out twice, not even one whose row is gone. */
function settings(numbers: Numbers): string[] {
  return TABLES.flatMap(({ name, numbered }) => {
    const last = numbers[name] ?? 0
    if (last === 0) return []
    const sequence =
      numbered === null ? "'call_seq'" : `pg_get_serial_sequence('${name}', '${numbered}')`
    return [`SELECT setval(${sequence}, ${last})`]
  })
}
