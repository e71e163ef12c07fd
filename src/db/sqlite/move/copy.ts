/** Writes the rows of a move into a SQLite file: a page and how far the copy is, in one transaction. */
import type { Database } from 'bun:sqlite'
import { renameSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { syncPath } from '../../../lib/process/sync-path.ts'
import type { Copy, Marker, Numbers } from '../../move/ports.ts'
import {
  type Kind,
  place as placeOf,
  type Row,
  TABLES,
  type Table,
  type Value,
} from '../../move/tables.ts'
import { BLOCK_CALLS } from '../ledger/entries.ts'
import { ask } from '../transact.ts'
import { createSqliteReader } from './reader.ts'

export type CopyOptions = {
  readonly marker: Marker
  readonly numbers: Numbers
  /** The file that is filled, and the path that it gets when it is whole. */
  readonly file: string
  readonly place: string
}

type Bound = number | bigint | string | Buffer | null

export function createSqliteCopy(
  client: Database,
  { marker, numbers, file, place }: CopyOptions,
): Copy {
  const note = (changed: Marker) =>
    client.run('UPDATE unfinished_move SET marker = ?', [JSON.stringify(changed)])
  const insert = createInsert(client, numbers)
  const write = client.transaction((table: Table, rows: readonly Row[], changed: Marker) => {
    for (const row of rows) insert(table, row)
    if (table.name === 'calls') writeBlocks(client, table, rows)
    note(changed)
  })
  return {
    reader: createSqliteReader(client),
    progress: marker.progress,
    write: (table, rows, progress) =>
      ask(() => write.immediate(table, rows, { ...marker, progress })),
    spoil: () => ask(() => void note({ ...marker, state: '' })),
    finish: () =>
      ask(() => {
        client.transaction(() => {
          for (const { name, numbered } of TABLES)
            if (numbered !== null) goOnAfter(client, name, numbers[name] ?? 0)
          client.run('DROP TABLE unfinished_move')
        })()
        takePlace(client, file, place)
      }),
  }
}

function createInsert(client: Database, numbers: Numbers): (table: Table, row: Row) => void {
  // The number of the next call, as a reset would have noted.
  const retired = (numbers['calls'] ?? 0) + 1
  return ({ name, columns }, row) => {
    const names: string[] = []
    const values: Bound[] = []
    for (const [i, column] of columns.entries()) {
      // The unit of a counter is that of its limit.
      if (name === 'counters' && column.name === 'unit') continue
      const isRetired = column.name === 'retired'
      names.push(isRetired ? 'retired_seq' : `"${column.name}"`)
      values.push(
        isRetired ? (row[i] === true ? retired : null) : bound(column.kind, row[i] ?? null),
      )
    }
    const places = names.map(() => '?').join(', ')
    client.query(`INSERT INTO ${name} (${names.join(', ')}) VALUES (${places})`).run(...values)
  }
}

function bound(kind: Kind, value: Value): Bound {
  if (value === null) return null
  if (kind === 'bytes') return Buffer.from(String(value), 'hex')
  if (kind === 'ints') return JSON.stringify(value)
  return typeof value === 'boolean' ? Number(value) : (value as number | string)
}

/** By which the calls of a key are found. */
function writeBlocks(client: Database, table: Table, rows: readonly Row[]): void {
  const [seq, keySeq] = [placeOf(table, 'seq'), placeOf(table, 'key_seq')]
  const blocks = new Set<bigint>()
  for (const row of rows) {
    const block = Math.floor(Number(row[seq]) / BLOCK_CALLS)
    blocks.add((BigInt(Number(row[keySeq])) << 32n) | BigInt(block))
  }
  const add = client.query('INSERT OR IGNORE INTO call_blocks (id) VALUES (?)')
  for (const block of blocks) add.run(block)
}

/** Numbers of rows that are gone are not given out again either. */
function goOnAfter(client: Database, table: string, last: number): void {
  if (last === 0) return
  client.run('DELETE FROM sqlite_sequence WHERE name = ?', [table])
  client.run('INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)', [table, last])
}

/** Whole and on the disk before it is at the place: whatever was there is empty, and its log must not be played into this. */
function takePlace(client: Database, file: string, place: string): void {
  const mode = client.query('PRAGMA journal_mode = DELETE').values()[0]?.[0]
  if (mode !== 'delete')
    throw new Error(`SQLite answered "${mode}" when the log was to be folded in.`)
  client.close()
  syncPath(file)
  for (const suffix of ['-wal', '-shm']) rmSync(place + suffix, { force: true })
  renameSync(file, place)
  syncPath(dirname(place))
}
