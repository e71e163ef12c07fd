/**
 * The drivers that are compared, each behind the same few functions and set up as its own documents say. `postgres` is no
 * dependency of the project: the run installs it into its own directory, whose path comes in the environment.
 */
import { SQL } from 'bun'
import pg from 'pg'

export type Row = Readonly<Record<string, unknown>>
export type Ask = (text: string, values: readonly unknown[]) => Promise<readonly Row[]>

export type Target = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** `ca` in PEM, for verify-full. */
  readonly tls: Tls
}

type Tls =
  | { readonly mode: 'disable' | 'require' }
  | { readonly mode: 'verify-full'; readonly ca: string }

export type Session = {
  /** On any connection. Gives up `cancelMs` after the question was put, in the way that the driver has for it. */
  ask(text: string, values: readonly unknown[], cancelMs?: number): Promise<readonly Row[]>
  transaction(work: (ask: Ask) => Promise<void>): Promise<void>
  close(): Promise<void>
}

type Open = (target: Target, connections: number) => Promise<Session>

const CONNECT_S = 5

export const DRIVERS: Readonly<Record<string, Open>> = {
  pg: async (target, max) => openPg(target, max, false),
  'pg, pipelined': async (target, max) => openPg(target, max, true),
  'postgres, prepared': (target, max) => openPostgres(target, max, true),
  'postgres, unprepared': (target, max) => openPostgres(target, max, false),
  'Bun.SQL, prepared': async (target, max) => openBun(target, max, true),
  'Bun.SQL, unprepared': async (target, max) => openBun(target, max, false),
}

/** Where the run has installed `postgres`. */
export const POSTGRES_PATH = 'POSTGRES_PATH'

function openPg({ tls, ...target }: Target, max: number, pipelined: boolean): Session {
  const ssl = nodeOptions(tls)
  const connection = { ...target, ssl, connectionTimeoutMillis: CONNECT_S * 1_000 }
  // A pool hands a connection to one asker at a time, so what is pipelined goes over connections of its own.
  const lines = pipelined ? Array.from({ length: max }, () => new Line(connection)) : []
  // The pool's own bound would also be one on how long a question waits for its turn.
  const Client = class extends pg.Client {
    constructor() {
      super(connection)
    }
  }
  const pool = new pg.Pool({ max, Client })
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  let turn = 0
  return {
    async ask(text, values, cancelMs) {
      const query = { text, values: [...values], ...(cancelMs && { query_timeout: cancelMs }) }
      const line = lines[turn++ % max]
      return (await (line ? line.query(query) : pool.query(query))).rows
    },
    transaction: (work) => transactPg(pool, work),
    async close() {
      await Promise.all([pool.end(), ...lines.map((line) => line.close())])
    },
  }
}

/** As `pg` and `postgres` take them: what node:tls does. */
function nodeOptions(tls: Tls): false | { ca: string } | { rejectUnauthorized: false } {
  if (tls.mode === 'verify-full') return { ca: tls.ca }
  return tls.mode === 'require' && { rejectUnauthorized: false }
}

async function transactPg(pool: pg.Pool, work: (ask: Ask) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  let broken = true
  try {
    await client.query('BEGIN')
    try {
      await work(async (text, values) => (await client.query(text, [...values])).rows)
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      broken = false
      throw error
    }
    broken = false
  } finally {
    client.release(broken)
  }
}

/** One connection that takes the next question before it has answered the last, and is made anew when it is lost. */
class Line {
  readonly #config: pg.ClientConfig
  #client: Promise<pg.Client> | null = null

  constructor(config: pg.ClientConfig) {
    this.#config = config
  }

  async query(query: pg.QueryConfig): Promise<pg.QueryResult<Row>> {
    this.#client ??= this.#connect()
    return (await this.#client).query(query)
  }

  async close(): Promise<void> {
    await (await this.#client?.catch(() => null))?.end()
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({ ...this.#config, pipeline: true } as pg.ClientConfig)
    const forget = () => {
      this.#client = null
    }
    client.on('error', forget)
    client.on('end', forget)
    return client.connect().then(
      () => client,
      (error) => {
        forget()
        throw error
      },
    )
  }
}

/** What `postgres` and Bun.SQL have in common. */
type Tagged = {
  unsafe(text: string, values: unknown[]): Promise<readonly Row[]> & { cancel(): unknown }
}
type TaggedPool = Tagged & { begin(work: (tx: Tagged) => Promise<void>): Promise<unknown> }

function sessionOf(sql: TaggedPool, close: () => Promise<unknown>): Session {
  return {
    async ask(text, values, cancelMs) {
      const question = sql.unsafe(text, [...values])
      if (cancelMs === undefined) return await question
      const timer = setTimeout(() => question.cancel(), cancelMs)
      return await question.finally(() => clearTimeout(timer))
    },
    async transaction(work) {
      await sql.begin((tx) => work(async (text, values) => await tx.unsafe(text, [...values])))
    },
    async close() {
      await close()
    },
  }
}

type Postgres = (options: object) => TaggedPool & { end(how: object): Promise<void> }

async function openPostgres(target: Target, max: number, prepare: boolean): Promise<Session> {
  const { default: postgres } = (await import(process.env[POSTGRES_PATH] ?? '')) as {
    default: Postgres
  }
  const { host, port, user, password, database, tls } = target
  const ssl = nodeOptions(tls)
  const sql = postgres({
    ...{ host, port, user, password, database, ssl, max, prepare },
    ...{ connect_timeout: CONNECT_S, fetch_types: false, onnotice: () => {} },
  })
  return sessionOf(sql, () => sql.end({ timeout: 5 }))
}

function openBun(target: Target, max: number, prepare: boolean): Session {
  const { host: hostname, port, user: username, password, database, tls } = target
  const sql = new SQL({
    ...{ adapter: 'postgres', hostname, port, username, password, database, max, prepare },
    connectionTimeout: CONNECT_S,
    tls: tls.mode === 'verify-full' ? { ca: tls.ca } : tls.mode,
  })
  return sessionOf(sql as unknown as TaggedPool, () => sql.close({ timeout: 5 }))
}
