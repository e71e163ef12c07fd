/**
 * Connections to PostgreSQL: one on which the batches of the ledger are written, one after the other, and a pool for
 * everything else. Nothing is kept in a session, so that a pooler may give each transaction to another one.
 */
import pg from 'pg'
import type { PostgresAddress } from '../../domain/postgres-url.ts'
import { StoreFailure } from '../../domain/store.ts'
import { failureOf, isConnectionLost } from './failure.ts'
import { tlsOptions } from './tls.ts'

// Amounts and instants are below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

/** How long to wait for a server that does not answer to a connection. */
const CONNECT_MS = 4_000
const POOL_MAX = 8
/** Longer than any statement takes on a healthy server. */
const STATEMENT_MS = 15_000

export type Row = Readonly<Record<string, unknown>>

/** A connection that is made when it is needed, and made anew when it was lost. */
export class Connection {
  readonly #addresses: readonly PostgresAddress[]
  #client: Promise<pg.Client> | null = null

  constructor(addresses: readonly PostgresAddress[]) {
    this.#addresses = addresses
  }

  /** Rejects with a StoreFailure if the server cannot be asked, and with the error of the server if it is no failure. */
  async query<T extends Row = Row>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    const client = await this.#connected()
    try {
      const { rows } = await client.query<T>({ text, values: [...values], query_timeout: STATEMENT_MS } as pg.QueryConfig)
      return rows
    } catch (error) {
      if (isConnectionLost(error)) this.drop()
      throw failureOf(error)
    }
  }

  /** Lets go of the connection, whatever it is doing. */
  drop(): void {
    const client = this.#client
    this.#client = null
    // What is not answered yet is rejected, and nobody waits for a server that is away.
    void client?.then((open) => open.connection.stream.destroy()).catch(() => {})
  }

  async close(): Promise<void> {
    const client = this.#client
    this.#client = null
    await client?.then((open) => open.end()).catch(() => {})
  }

  #connected(): Promise<pg.Client> {
    this.#client ??= connect(this.#addresses).catch((error) => {
      this.#client = null
      throw failureOf(error)
    })
    return this.#client
  }
}

/** Of several servers, the first that can be written to. */
export async function connect(addresses: readonly PostgresAddress[]): Promise<pg.Client> {
  let failure: unknown = new StoreFailure('DATABASE_URL names no server', 'CONNECTION')
  for (const address of addresses) {
    const client = new pg.Client(clientOptions(address))
    // Without a listener, the end of an idle connection would end the process.
    client.on('error', () => {})
    try {
      await client.connect()
      await refuseReadOnly(client)
      return client
    } catch (error) {
      failure = error
      client.end().catch(() => {})
    }
  }
  throw failure
}

/** After a failover, an old address may lead to a server that only follows another one. */
async function refuseReadOnly(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ transaction_read_only: string }>('SHOW transaction_read_only')
  if (rows[0]?.transaction_read_only === 'on')
    throw new StoreFailure('the server is read-only: it follows another one, or is set so', '25006')
}

export function clientOptions({ host, port, database, user, password, tls }: PostgresAddress): pg.ClientConfig {
  return {
    ...{ host, port, database, user, ssl: tlsOptions(tls, host), application_name: 'quota-proxy', keepAlive: true },
    ...(password !== undefined && { password }),
    connectionTimeoutMillis: CONNECT_MS,
  }
}

/** For all but the ledger. Hands out connections to the first server that can be written to. */
export class Pool {
  readonly #addresses: readonly PostgresAddress[]
  #pool: pg.Pool
  #at = 0

  constructor(addresses: readonly PostgresAddress[]) {
    this.#addresses = addresses
    this.#pool = this.#open()
  }

  get pool(): pg.Pool {
    return this.#pool
  }

  async query<T extends Row = Row>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    try {
      const { rows } = await this.#pool.query<T>(text, [...values])
      return rows
    } catch (error) {
      throw this.noted(error)
    }
  }

  /** The error as it leaves this room. After a failure of one server the next one is asked. */
  noted(error: unknown): unknown {
    if (isConnectionLost(error) && this.#addresses.length > 1) {
      this.#at = (this.#at + 1) % this.#addresses.length
      const old = this.#pool
      this.#pool = this.#open()
      void old.end().catch(() => {})
    }
    return failureOf(error)
  }

  close(): Promise<void> {
    return this.#pool.end()
  }

  #open(): pg.Pool {
    const address = this.#addresses[this.#at]
    if (!address) throw new StoreFailure('DATABASE_URL names no server', 'CONNECTION')
    const options = { max: POOL_MAX, query_timeout: STATEMENT_MS, idleTimeoutMillis: 30_000 }
    const pool = new pg.Pool({ ...clientOptions(address), ...options })
    pool.on('error', () => {})
    // Without a listener, the end of a connection that is handed out would end the process.
    pool.on('connect', (client) => client.on('error', () => {}))
    return pool
  }
}
