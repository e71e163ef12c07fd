/**
 * Connections to PostgreSQL: one on which the batches of the ledger are written, one after the other, and a pool for
 * everything else. Nothing is kept in a session, so that a pooler may give each transaction to another one.
 */
import pg from 'pg'
import type { PostgresAddress } from '../../domain/postgres-url.ts'
import { StoreFailure } from '../../domain/store.ts'
import { tlsOptions } from './connect/tls.ts'
import { failureOf, isConnectionLost } from './failure.ts'

// Amounts and instants are below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

const POOL_MAX = 8
/** How long a server that may be away is waited for when nothing is asked of it any more. */
const GOODBYE_MS = 500

/** How long somebody waits for a server, ms. */
export type Patience = {
  /** For a connection, or a turn on one of the pool. */
  readonly connectMs: number
  /** Longer than any statement takes on a healthy server. */
  readonly statementMs: number
}

const PATIENCE: Patience = { connectMs: 4_000, statementMs: 15_000 }

export type Row = Readonly<Record<string, unknown>>

/** A connection that is made when it is needed, and made anew when it was lost. It asks one thing at a time. */
export class Connection {
  readonly #addresses: readonly PostgresAddress[]
  readonly #patience: Patience
  #client: Promise<pg.Client> | null = null
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor(addresses: readonly PostgresAddress[], patience: Partial<Patience> = {}) {
    this.#addresses = addresses
    this.#patience = { ...PATIENCE, ...patience }
  }

  /** Rejects with a StoreFailure if the server cannot be asked, and with the error of the server if it is no failure. */
  query<T extends Row = Row>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    const answer = this.#last.then(() => this.#ask<T>(text, values))
    this.#last = answer.catch(() => {})
    return answer
  }

  async #ask<T extends Row>(text: string, values: readonly unknown[]): Promise<T[]> {
    if (this.#isClosed) throw new StoreFailure('the connection has been closed', 'CONNECTION')
    const connected = this.#connected()
    const client = await connected
    try {
      return await ask<T>(client, text, values, this.#patience.statementMs)
    } catch (error) {
      if (isConnectionLost(error)) this.#drop(connected)
      throw failureOf(error)
    }
  }

  /** Lets go of the connection, whatever it is doing. */
  drop(): void {
    if (this.#client) this.#drop(this.#client)
  }

  /**
   * What is not answered yet is rejected. After a time-out that is all that helps: the driver would keep the next question
   * until the server has answered the last one.
   */
  #drop(client: Promise<pg.Client>): void {
    this.#forget(client)
    client.then(destroy, () => {})
  }

  /** What still waits for its turn is rejected, and so is what is asked later. */
  async close(): Promise<void> {
    this.#isClosed = true
    const client = this.#client
    if (!client) return
    this.#forget(client)
    const open = await client.catch(() => null)
    if (open) await goodbye(open)
  }

  #connected(): Promise<pg.Client> {
    if (this.#client) return this.#client
    const client = connect(this.#addresses, this.#patience).catch((error) => {
      this.#forget(client)
      throw failureOf(error)
    })
    this.#client = client
    // One that ends while nothing is asked is not asked again.
    client.then(
      (open) => open.once('end', () => this.#forget(client)),
      () => {},
    )
    return client
  }

  #forget(client: Promise<pg.Client>): void {
    if (this.#client === client) this.#client = null
  }
}

/** Of several servers, the first that can be written to. */
export async function connect(
  addresses: readonly PostgresAddress[],
  { connectMs }: Patience = PATIENCE,
): Promise<pg.Client> {
  let failure: unknown = new StoreFailure('DATABASE_URL names no server', 'CONNECTION')
  for (const address of addresses) {
    const client = new pg.Client(clientOptions(address, connectMs))
    // Without a listener, the end of an idle connection would end the process.
    client.on('error', () => {})
    try {
      await client.connect()
      await refuseReadOnly(client, connectMs)
      return client
    } catch (error) {
      failure = error
      destroy(client)
    }
  }
  throw failure
}

/** After a failover, an old address may lead to a server that only follows another one. */
async function refuseReadOnly(client: pg.ClientBase, timeoutMs: number): Promise<void> {
  const rows = await ask(client, 'SHOW transaction_read_only', [], timeoutMs)
  if (rows[0]?.['transaction_read_only'] === 'on')
    throw new StoreFailure('the server is read-only: it follows another one, or is set so', '25006')
}

async function ask<T extends Row>(
  client: pg.ClientBase,
  text: string,
  values: readonly unknown[],
  timeoutMs: number,
): Promise<T[]> {
  const query = { text, values: [...values], query_timeout: timeoutMs }
  return (await client.query<T>(query)).rows
}

async function goodbye(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => destroy(client), GOODBYE_MS)
  await client.end().catch(() => {})
  clearTimeout(timer)
}

function destroy(client: pg.Client): void {
  client.connection.stream.destroy()
}

export function clientOptions(address: PostgresAddress, connectMs: number): pg.ClientConfig {
  const { host, port, database, user, password, tls } = address
  return {
    ...{ host, port, database, user, ssl: tlsOptions(tls) },
    ...{ application_name: 'quota-proxy', keepAlive: true },
    // Without one, the driver would look for it in the environment and in a file.
    password: password ?? (() => ''),
    connectionTimeoutMillis: connectMs,
  }
}

/** For all but the ledger. Hands out connections to the first server that can be written to. */
export class Pool {
  readonly #addresses: readonly PostgresAddress[]
  readonly #patience: Patience
  #pool: pg.Pool
  /** Pools of other servers, of which somebody may still have a connection. */
  #left: readonly pg.Pool[] = []
  #at = 0

  constructor(addresses: readonly PostgresAddress[], patience: Partial<Patience> = {}) {
    this.#addresses = addresses
    this.#patience = { ...PATIENCE, ...patience }
    this.#pool = this.#open()
  }

  get pool(): pg.Pool {
    return this.#pool
  }

  async query<T extends Row = Row>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    const from = this.#pool
    try {
      const { rows } = await from.query<T>(text, [...values])
      return rows
    } catch (error) {
      throw this.noted(error, from)
    }
  }

  /** The error as it leaves this room. After a failure of one server the next one is asked. */
  noted(error: unknown, from = this.#pool): unknown {
    const isOver = isConnectionLost(error) && !isExhausted(error)
    // Of many that fail at once, the first has gone on to the next server.
    if (isOver && this.#addresses.length > 1 && from === this.#pool) this.#goOn()
    return failureOf(error)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#left, this.#pool].map((pool) => pool.end()))
  }

  /** Who has been waiting for a connection of the old pool gets its answer from there: an ended pool would forget them. */
  #goOn(): void {
    const isInUse = (pool: pg.Pool) => pool.totalCount + pool.waitingCount > 0
    this.#left = [...this.#left, this.#pool].filter(isInUse)
    this.#at = (this.#at + 1) % this.#addresses.length
    this.#pool = this.#open()
  }

  #open(): pg.Pool {
    const address = this.#addresses[this.#at]
    if (!address) throw new StoreFailure('DATABASE_URL names no server', 'CONNECTION')
    const { connectMs, statementMs } = this.#patience
    const pool = new pg.Pool({
      ...clientOptions(address, connectMs),
      ...{ max: POOL_MAX, query_timeout: statementMs, idleTimeoutMillis: 30_000 },
      verify: (client, done) => void refuseReadOnly(client, connectMs).then(() => done(), done),
    })
    pool.on('error', () => {})
    // Without a listener, the end of a connection that is handed out would end the process.
    pool.on('connect', (client) => client.on('error', () => {}))
    return pool
  }
}

/** All connections were in use for longer than anybody waits: nothing is known of the server. */
function isExhausted(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect'
}
