/**
 * Opens the admin API for one command: at a server anywhere (`--url`), else at the server that runs
 * on this data directory (its control socket), else within this process, on the database itself. No
 * token ever stands in an argument, and none is sent anywhere that the operator has not named.
 */
import { readFileSync } from 'node:fs'
import { connect as connectSocket } from 'node:net'
import type { Config } from '../config/options.ts'
import { controlSocketPath } from '../data-dir/directory.ts'
import { checkAdminToken } from '../domain/operator-secrets.ts'
import { StoreInUse } from '../errors.ts'
import { errorCode } from '../lib/error-code.ts'
import { openInProcess } from './connect/in-process.ts'
import { type Admin, read, speak } from './connect/speak.ts'
import { Misuse, type Session, settings } from './session.ts'
import { reasonOf } from './unreachable.ts'

export type ServerOptions = {
  readonly url?: string
  readonly tokenFile?: string
  readonly cacert?: string
  /** Whether a database is made where there is none; only commands that issue something have the option. */
  readonly create?: boolean
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
