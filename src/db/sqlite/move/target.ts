/**
 * A SQLite database that a move fills: in a file beside its place, which it takes when it is whole. So no server can ever find
 * half of it. The place has the lock of a server meanwhile.
 */
import type { Database } from 'bun:sqlite'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import {
  type Copy,
  type Marker,
  MoveRefused,
  type Target,
  type TargetState,
} from '../../move/ports.ts'
import { isBare, schemaProblem } from '../../move/schema.ts'
import { TABLES } from '../../move/tables.ts'
import { removeDatabase } from '../backup/restore.ts'
import { openDatabase, openReadOnly, readDatabase } from '../client.ts'
import { lockDatabase, realPath } from '../lock.ts'
import { migrate, migrationsOf } from '../migrate.ts'
import { SQLITE_MIGRATIONS } from '../migrations.gen.ts'
import { ask } from '../transact.ts'
import { createSqliteCopy } from './copy.ts'
import { createSqliteReader } from './reader.ts'

/** What the name of a database goes on with while it is filled. */
export const MOVING = '.moving'

type Lock = { release(): void }

export function openSqliteTarget(path: string, name: string): Promise<Target> {
  return ask(() => {
    // A plan makes no directory.
    let lock: Lock | null = existsSync(dirname(path)) ? lockDatabase(realPath(path)) : null
    const closers: (() => void)[] = [() => lock?.release()]
    const close = async () => {
      for (const one of closers.splice(0).reverse()) one()
    }
    try {
      return {
        state: look(path, name),
        reader() {
          const client = openReadOnly(realPath(path))
          closers.push(() => client.close())
          return createSqliteReader(client)
        },
        begin: (marker, how, numbers) =>
          ask((): Copy => {
            mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
            lock ??= lockDatabase(realPath(path))
            const file = realPath(path) + MOVING
            const client = how === 'resumed' ? openDatabase(file, 'normal') : newFile(file, marker)
            closers.push(() => client.close())
            return createSqliteCopy(client, { marker, numbers, file, place: realPath(path) })
          }),
        close,
      }
    } catch (error) {
      void close()
      throw error
    }
  })
}

function look(path: string, name: string): TargetState {
  if (existsSync(path) && readDatabase(path, (client) => isFilled(client, name)))
    return { kind: 'filled' }
  const marker = existsSync(dirname(path)) ? readMarker(realPath(path) + MOVING) : null
  return marker ? { kind: 'unfinished', marker } : { kind: 'empty' }
}

function isFilled(client: Database, name: string): boolean {
  if (client.query('SELECT 1 FROM sqlite_schema LIMIT 1').get() === null) return false
  const views = migrationsOf(client, SQLITE_MIGRATIONS)
  if (isBare(views))
    throw new MoveRefused(`${name} is the database of something else. Name another file.`)
  const problem = schemaProblem(name, views, 'target')
  if (problem !== null) throw new MoveRefused(problem)
  const there = (table: string) =>
    client.query('SELECT 1 FROM sqlite_schema WHERE name = ?').get(table) !== null &&
    client.query(`SELECT 1 FROM ${table} LIMIT 1`).get() !== null
  return [...TABLES.map((table) => table.name), 'holds'].some(there)
}

/** Null if there is none, or one that can be of no use. */
function readMarker(file: string): Marker | null {
  if (!existsSync(file)) return null
  try {
    return readDatabase(file, (client) => {
      const row = client.query<{ marker: string }, []>('SELECT marker FROM unfinished_move').get()
      return row && (JSON.parse(row.marker) as Marker)
    })
  } catch {
    return null
  }
}

function newFile(file: string, marker: Marker): Database {
  removeDatabase(file)
  const client = openDatabase(file, 'normal')
  migrate(client, SQLITE_MIGRATIONS, marker.at)
  client.run('CREATE TABLE unfinished_move (marker TEXT NOT NULL)')
  client.run('INSERT INTO unfinished_move VALUES (?)', [JSON.stringify(marker)])
  return client
}
