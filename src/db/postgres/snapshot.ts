/**
 * Reads a whole database as it was at one moment, on a connection of its own, for as long as that takes. Nothing can be
 * written there. While it is open, the server keeps what has been replaced since: nobody should be slow in it for nothing.
 */
import { DrizzleQueryError } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import type pg from 'pg'
import type { PostgresAddress } from '../../domain/postgres-url.ts'
import { connect } from './connection.ts'
import { failureOf } from './failure.ts'
import type { Tx } from './transact.ts'

/** Timeouts that the role or the database may have are for others. */
const BEGIN = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
  SET LOCAL statement_timeout = 0;
  SET LOCAL idle_in_transaction_session_timeout = 0`

export type Opened = { readonly client: pg.Client; readonly address: PostgresAddress }

/** Rejects with a StoreFailure if the server cannot be asked. */
export function withSnapshot<T>(
  addresses: readonly PostgresAddress[],
  work: (tx: Tx, opened: Opened) => Promise<T>,
): Promise<T> {
  return withClient(addresses, async (tx, opened) => {
    await opened.client.query(BEGIN)
    const result = await work(tx, opened)
    await opened.client.query('COMMIT')
    return result
  })
}

/** Outside of a transaction. */
export async function withClient<T>(
  addresses: readonly PostgresAddress[],
  work: (tx: Tx, opened: Opened) => Promise<T>,
): Promise<T> {
  const client = await connect(addresses).catch((error) => {
    throw failureOf(error)
  })
  const address = addresses.find(({ host, port }) => host === client.host && port === client.port)
  if (!address) throw new Error('the connection leads elsewhere')
  try {
    return await work(drizzle({ client }), { client, address })
  } catch (error) {
    throw failureOf(error instanceof DrizzleQueryError ? error.cause : error)
  } finally {
    await client.end().catch(() => {})
  }
}
