/** Transactions over Drizzle, and what is read without one. The driver's errors leave this room as failure.ts says; others stay what they are. */
import { DrizzleQueryError } from 'drizzle-orm'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import type { PoolClient } from 'pg'
import type { Pool } from './connection.ts'
import { isConnectionLost } from './failure.ts'

export type Tx = Pick<NodePgDatabase, 'select' | 'insert' | 'update' | 'delete' | 'execute'>

/** All of the work is written when it resolves, or nothing and it rejects. */
export type Change = <T>(work: (tx: Tx) => Promise<T>) => Promise<T>

/** Reads what is committed. */
export type Read = <T>(work: (tx: Tx) => Promise<T>) => Promise<T>

/** Reads what was committed at one moment. No statement of it takes longer than `withinMs`: the server ends it with TOO_LONG. */
export type Snapshot = <T>(work: (tx: Tx) => Promise<T>, withinMs: number) => Promise<T>

/** query_canceled. */
export const TOO_LONG = '57014'

/** A change that was acknowledged must outlive a crash of the server, as charges do. */
const KEEP =
  "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"

export function createChange(pool: Pool): Change {
  // Read committed, whatever the database prefers: what is read under a lock must be current.
  return (work) => transact(pool, `BEGIN ISOLATION LEVEL READ COMMITTED; ${KEEP}`, work)
}

export function createRead(pool: Pool): Read {
  return async (work) => {
    const from = pool.pool
    try {
      return await work(drizzle({ client: from }))
    } catch (error) {
      throw error instanceof DrizzleQueryError ? pool.noted(causeOf(error), from) : error
    }
  }
}

export function createSnapshot(pool: Pool): Snapshot {
  return (work, withinMs) => {
    const begin = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY'
    const timeout = `SET LOCAL statement_timeout = ${Math.max(1, Math.ceil(withinMs))}`
    return transact(pool, `${begin}; ${timeout}`, work)
  }
}

/** Not that of Drizzle, which never gives back a connection that is lost before it begins. */
async function transact<T>(pool: Pool, begin: string, work: (tx: Tx) => Promise<T>): Promise<T> {
  const from = pool.pool
  const client = await from.connect().catch((error) => {
    throw pool.noted(error, from)
  })
  const db = drizzle({ client })
  try {
    await db.execute(begin)
    const result = await work(db)
    const { command } = await db.execute('COMMIT')
    // So the server answers where a statement has failed, though the work went on.
    if (command === 'ROLLBACK') throw new Error('the transaction had failed, and was undone')
    client.release()
    return result
  } catch (error) {
    await giveUp(client, error)
    throw error instanceof DrizzleQueryError ? pool.noted(causeOf(error), from) : error
  }
}

/** A connection that cannot even roll back is of no use to anybody else. */
async function giveUp(client: PoolClient, error: unknown): Promise<void> {
  if (error instanceof DrizzleQueryError && isConnectionLost(causeOf(error)))
    return client.release(true)
  try {
    await client.query('ROLLBACK')
    client.release()
  } catch {
    client.release(true)
  }
}

/** Drizzle puts the statement with its values, keys' hashes among them, into the message of its own error. */
function causeOf(error: DrizzleQueryError): unknown {
  return error.cause ?? new Error('the statement failed')
}
