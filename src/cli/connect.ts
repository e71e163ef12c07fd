/**
 * Opens the admin API for one command: at a server anywhere (`--url`), else at the server that runs
 * on this data directory (its control socket), else within this process, on the database itself. No
 * token ever stands in an argument, and none is sent anywhere that the operator has not named.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { connect as connectSocket } from 'node:net'
import type { Config } from '../config/options.ts'
import { controlSocketPath, openDataDir } from '../data-dir/directory.ts'
import { newSecretKey, openSecretKeys } from '../data-dir/secret-key.ts'
import {
  type DatabaseUrl,
  formatDatabaseUrl,
  nameOf,
  readDatabaseUrl,
} from '../domain/database-url.ts'
import { checkAdminToken } from '../domain/operator-secrets.ts'
import { StoreInUse } from '../errors.ts'
import { systemClock } from '../lib/clock.ts'
import { errorCode } from '../lib/error-code.ts'
import type { Keys } from '../lib/seal.ts'
import { openLocal } from './local-store.ts'
import { Misuse, type Session, settings } from './session.ts'
import { reasonOf } from './unreachable.ts'

export type ServerOptions = {
  readonly url?: string
  readonly tokenFile?: string
  readonly cacert?: string
  /** Whether a database is made where there is none; only commands that issue something have the option. */
  readonly create?: boolean
}

/** `body` is what the JSON says, or the text if it is none. */
export type RawAnswer = { readonly status: number; readonly body: unknown }

export type Admin = {
  /** `process`: no server runs on this data directory, and the API answers within this process. */
  readonly transport: 'url' | 'socket' | 'process'
  request(method: string, path: string, body?: unknown): Promise<RawAnswer>
  close(): void | Promise<void>
}

/** A server that is starting or stopping has the database but no socket: both take less. */
const WAIT_MS = 5_000
const RETRY_MS = 50

/** An examination of a large database takes minutes; everything else is done within a second. */
const TIMEOUT_MS = 10 * 60_000

/** On this machine a server accepts at once, or does not run. */
const CONNECT_MS = 2_000

export async function connect(session: Session, options: ServerOptions): Promise<Admin> {
  const { url, tokenFile, cacert, create } = options
  if (url === undefined && (tokenFile ?? cacert) !== undefined)
    throw new Misuse('--token-file and --cacert are for a server that --url names.')
  if (url !== undefined && create)
    throw new Misuse('--create is for a database on this machine, and --url names a server.')
  const config = settings(session)
  if (url !== undefined) return connectUrl(session, url, options, config)
  const deadline = performance.now() + WAIT_MS
  for (;;) {
    const running = await connectRunning(config)
    if (running) return running
    try {
      return await openInProcess(config, create === true)
    } catch (error) {
      if (!(error instanceof StoreInUse) || performance.now() > deadline) throw error
      await Bun.sleep(RETRY_MS)
    }
  }
}

/** Null if no server runs here. It needs no token, but checks one that is sent. */
export async function connectRunning({ dataDir }: Config, token?: string): Promise<Admin | null> {
  const unix = controlSocketPath(dataDir)
  if (unix === null || !(await accepts(unix))) return null
  return overWire('socket', 'http://localhost', token, { unix, proxy: false })
}

function connectUrl({ io }: Session, text: string, options: ServerOptions, config: Config): Admin {
  const url = URL.parse(text)
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.username ||
    url.password ||
    url.search ||
    url.hash
  )
    throw new Misuse('--url must be http or https, with no user, query or hash.')
  const isLocal = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)
  if (url.protocol === 'http:' && !isLocal)
    io.err('warning: the admin token goes over plain http; whoever is in between can read it.\n')
  const token = readToken(options.tokenFile, config)
  const { cacert } = options
  return overWire('url', url.href.replace(/\/+$/, ''), token, {
    ...(cacert !== undefined && { tls: { ca: readText(cacert, '--cacert') } }),
    // HTTP_PROXY and HTTPS_PROXY are for other machines.
    ...(isLocal && { proxy: false }),
  })
}

/** A server elsewhere never gets the token that is stored here, only one that was given. */
function readToken(file: string | undefined, { adminToken }: Config): string {
  const token = file === undefined ? adminToken : readText(file, '--token-file')
  if (token === undefined)
    throw new Misuse('--url needs the admin token of that server: --token-file, or ADMIN_TOKEN.')
  const checked = checkAdminToken(token)
  if (!checked.ok) throw new Misuse(`The admin token ${checked.problem}`)
  return checked.value
}

function readText(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Misuse(`${option} names a file that cannot be read (${errorCode(error)}).`)
  }
}

/** Whether a server listens there; one that was killed leaves a socket that refuses. */
function accepts(socket: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const connection = connectSocket(socket)
  connection.once('connect', () => resolve(true))
  connection.once('error', () => resolve(false))
  connection.setTimeout(CONNECT_MS, () => resolve(false))
  return promise.finally(() => connection.destroy())
}

/** `base` has no slash at its end. */
function overWire(
  transport: Admin['transport'],
  base: string,
  token: string | undefined,
  how: BunFetchRequestInit,
): Admin {
  return speak(transport, token, async (path, init) => {
    // The token is for the server that was named and for no other.
    const safe = { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) } as const
    const { status, text } = await fetch(base + path, { ...init, ...how, ...safe })
      .then(read)
      .catch((error) => {
        throw new Error(`${base} cannot be reached: ${reasonOf(error)}`, { cause: error })
      })
    if (status >= 300 && status < 400)
      throw new Error(`${base} answered ${status}: give --url the address it redirects to.`)
    return { status, text }
  })
}

/** Throws if another process has the database, or if there is none and it `creates` none. */
async function openInProcess(config: Config, creates: boolean): Promise<Admin> {
  const database = readDatabaseUrl(config.databaseUrl)
  if (database.kind === 'memory') {
    throw new Error(
      'No server runs on this data directory, and DATABASE_URL=:memory: exists only in one that runs.',
    )
  }
  if (!creates && !(await isThere(database))) {
    throw new Error(
      `There is no database at ${nameOf(database)}, and no server runs. Set DATA_DIR or DATABASE_URL to the one that is served, or give --url. To begin a new one, start the server, or add --create to the command that issues its first key.`,
    )
  }
  // As the server does: whatever is created is for this user alone.
  process.umask(0o077)
  openDataDir(config.dataDir)
  return await serveInProcess(config, openSecretKeys(config))
}

async function isThere(database: DatabaseUrl): Promise<boolean> {
  if (database.kind === 'file') return existsSync(database.path)
  const { migrationStatus } = await import('../db/open.ts')
  const migrations = await migrationStatus(formatDatabaseUrl(database))
  return migrations?.some(({ state }) => state !== 'pending') ?? false
}

/** A database that is empty and gone with the process, to try out what a server would say. */
export function openRehearsal(config: Config): Promise<Admin> {
  const key = newSecretKey()
  const keys = { all: () => [key], create: () => key }
  return serveInProcess({ ...config, databaseUrl: formatDatabaseUrl({ kind: 'memory' }) }, keys)
}

/** Nothing listens, no schedule runs, and no server can start meanwhile. */
async function serveInProcess(config: Config, secretKeys: Keys): Promise<Admin> {
  // Loaded here so that the other commands start without the web framework.
  const [{ createApp }, { createLog }] = await Promise.all([
    import('../app.ts'),
    import('../lib/log.ts'),
  ])
  const store = await openLocal(config, secretKeys)
  const token = randomBytes(32).toString('hex')
  try {
    const { api } = await createApp({
      settings: () => config,
      adminToken: () => token,
      store,
      log: createLog('silent', 'json'),
      clock: systemClock,
      readiness: () => 'ready',
      tracer: null,
      certificateExpiresAt: () => null,
      callsMax: 0,
    })
    const call: Call = async (path, init) =>
      await read(await api.fetch(new Request(`http://localhost${path}`, init)))
    return speak('process', token, call, store.close)
  } catch (error) {
    await store.close()
    throw error
  }
}

type Said = { readonly status: number; readonly text: string }
type Call = (path: string, init: RequestInit) => Promise<Said>

async function read(response: Response): Promise<Said> {
  return { status: response.status, text: await response.text() }
}

/** Speaks JSON over whichever transport. */
function speak(
  transport: Admin['transport'],
  token: string | undefined,
  call: Call,
  close: () => void | Promise<void> = () => {},
): Admin {
  return {
    transport,
    close,
    async request(method, path, body) {
      const { status, text } = await call(path, {
        method,
        headers: {
          ...(token !== undefined && { authorization: `Bearer ${token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })
      return { status, body: parse(text) }
    },
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
