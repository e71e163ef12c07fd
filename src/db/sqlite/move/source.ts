/**
 * A SQLite database that is moved away. It has the lock of a server, so that none can start meanwhile, and is opened so that
 * nothing can be written to it.
 */
import type { Database } from 'bun:sqlite'
import { existsSync } from 'node:fs'
import { StoreInUse } from '../../../errors.ts'
import { MoveRefused, type Numbers, type Source } from '../../move/ports.ts'
import { isBare, schemaProblem } from '../../move/schema.ts'
import { TABLES } from '../../move/tables.ts'
import { openReadOnly } from '../client.ts'
import { lockDatabase, realPath } from '../lock.ts'
import { migrationsOf } from '../migrate.ts'
import { SQLITE_MIGRATIONS } from '../migrations.gen.ts'
import { ask } from '../transact.ts'
import { createSqliteReader } from './reader.ts'

/** With `isPlan` it is only looked at, and may be served meanwhile. */
export function openSqliteSource(path: string, name: string, isPlan: boolean): Promise<Source> {
  return ask(() => {
    if (!existsSync(path))
      throw new MoveRefused(`There is no database at ${path}, so there is nothing to move.`)
    const place = realPath(path)
    const { lock, served } = lockFor(place, isPlan)
    try {
      const client = openReadOnly(place)
      const close = async () => {
        client.close()
        lock?.release()
      }
      return { ...sourceOf(client, name, close), served }
    } catch (error) {
      lock?.release()
      throw error
    }
  })
}

function lockFor(place: string, isPlan: boolean) {
  try {
    return { lock: lockDatabase(place), served: null }
  } catch (error) {
    if (isPlan && error instanceof StoreInUse) return { lock: null, served: error.message }
    throw error
  }
}

function sourceOf(
  client: Database,
  name: string,
  close: () => Promise<void>,
): Omit<Source, 'served'> {
  const views = migrationsOf(client, SQLITE_MIGRATIONS)
  if (isBare(views))
    throw new MoveRefused(`${name} is no database of quota-proxy, so there is nothing to move.`)
  const problem = schemaProblem(name, views, 'source')
  if (problem !== null) throw new MoveRefused(problem)
  return {
    ...createSqliteReader(client),
    identity: () =>
      ask(() => {
        const first = client.query<{ id: string }, []>('SELECT id FROM keys ORDER BY seq LIMIT 1')
        return JSON.stringify(['SQLite', views[0]?.appliedAt, first.get()?.id ?? null])
      }),
    numbers: () => ask(() => readNumbers(client)),
    // The lock keeps everybody else away.
    renew: async () => {},
    close,
  }
}

/** Also those of rows that are gone; but for calls, whose newest row is never pruned. */
function readNumbers(client: Database): Numbers {
  const given = client.query<{ name: string; seq: number }, []>(
    'SELECT name, seq FROM sqlite_sequence',
  )
  const numbers: Record<string, number> = {}
  for (const { name, seq } of given.all())
    if (TABLES.some((table) => table.name === name)) numbers[name] = seq
  const last = client.query<{ seq: number | null }, []>(
    'SELECT max(seq) AS seq FROM (SELECT max(seq) AS seq FROM calls UNION ALL SELECT max(seq) FROM holds)',
  )
  return { ...numbers, calls: last.get()?.seq ?? 0 }
}
