/** What an operator changes, in one transaction over Drizzle, and what is read without one. */
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import type { Pool } from './connection.ts'

export type Tx = Pick<NodePgDatabase, 'select' | 'insert' | 'update' | 'delete' | 'execute'>

/** All of the work is written when it resolves, or nothing and it rejects. */
export type Change = <T>(work: (tx: Tx) => Promise<T>) => Promise<T>

/** Reads what is committed. */
export type Read = <T>(work: (tx: Tx) => Promise<T>) => Promise<T>

export function createChange(pool: Pool): Change {
  return async (work) => {
    try {
      // Read committed, whatever the database prefers: what is read under a lock must be current.
      return await drizzle({ client: pool.pool }).transaction(work, { isolationLevel: 'read committed' })
    } catch (error) {
      throw pool.noted(causeOf(error))
    }
  }
}

export function createRead(pool: Pool): Read {
  return async (work) => {
    try {
      return await work(drizzle({ client: pool.pool }))
    } catch (error) {
      throw pool.noted(causeOf(error))
    }
  }
}

/** Drizzle wraps the error of the driver, and puts the statement with its values, keys' hashes among them, into the message. */
function causeOf(error: unknown): unknown {
  return error instanceof Error && error.name === 'DrizzleQueryError' ? (error.cause ?? error) : error
}
