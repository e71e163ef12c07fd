/**
 * Everything that listens: the main listener, those for the operator and for metrics if the
 * settings ask for them, and the control socket in the data directory, by which commands find the
 * running server. A new certificate is taken up without ending a connection: those that are open go
 * on with the old one.
 */
import { chmodSync, rmSync } from 'node:fs'
import http from 'node:http'
import type { ListenAddress } from './config/parse.ts'
import type { Tls } from './config/tls.ts'
import type { Dispatch } from './dispatch.ts'
import type { ListenerKind } from './http/request/sender.ts'
import { type Session, sessions } from './proxy/send/websocket.ts'

/** How long a connection may stay open without a request, or in the middle of its headers. */
const IDLE_S = 120

/**
 * Of the request line and all header fields; ours are within it, and answer with a reason. Bun has
 * 16 KiB by default.
 */
const HEAD_BYTES_MAX = 64 * 1024

/**
 * Above every limit of our own, which are the ones that answer with a reason; Bun's answer has
 * none.
 */
const REQUEST_BYTES_MAX = 2 * 1024 ** 3

/**
 * For TLS 1.2, which Bun would otherwise speak with CBC and without forward secrecy, too; those of
 * 1.3 cannot be chosen.
 */
const CIPHERS = 'ECDHE+AESGCM:ECDHE+CHACHA20'

/**
 * A year; for this name alone, since others below it are not ours to decide about (RFC 6797 section
 * 6.1).
 */
const HTTPS_ONLY = 'max-age=31536000'

/**
 * Elsewhere Bun cannot listen twice at one port: then it is closed for a moment when the
 * certificate changes.
 */
const CAN_SHARE_PORT = process.platform === 'linux'

export type ListenOptions = {
  readonly main: ListenAddress
  readonly admin: ListenAddress | undefined
  readonly metrics: ListenAddress | undefined
  /** Of the control socket; null if there can be none. */
  readonly controlPath: string | null
  readonly tls: Tls | null
  readonly dispatch: Dispatch
  /** Who the other end of a connection speaks for. */
  readonly clientOf: (peer: string, headers: Headers) => string
}

export type Listeners = {
  /** Of the main listener. */
  readonly url: URL
  /** Where the others listen. */
  readonly others: { readonly admin?: string; readonly metrics?: string }
  readonly controlPath: string | null
  /** Serves new connections with another certificate. */
  setTls(tls: Tls): void
  pending(): number
  /**
   * Takes no new connection. Resolves when the open requests have ended, or at once if they are to
   * be cut off.
   */
  stop(atOnce: boolean): Promise<void>
}

type Server = Bun.Server<Session>
type ListenerAddress = ListenAddress & { readonly listener: ListenerKind }

/** What answers at every listener. */
type Answering = Pick<ListenOptions, 'dispatch' | 'clientOf'>

/** What is open; it is added to while it is being opened. */
type Opened = {
  /** Those that speak TLS if there is a certificate. */
  readonly secured: { readonly place: ListenerAddress; server: Server }[]
  readonly plain: Server[]
  /** Those that do not listen any more, but still have requests to answer. */
  readonly leaving: Set<Server>
  readonly others: { admin?: string; metrics?: string }
}

/** Throws an error that says why it cannot listen at an address. */
export function listen(options: ListenOptions): Listeners {
  const { controlPath } = options
  setMaxHeaderSize(HEAD_BYTES_MAX)
  const opened: Opened = { secured: [], plain: [], leaving: new Set(), others: {} }
  const { secured, plain, leaving, others } = opened
  const all = () => [...secured.map(({ server }) => server), ...plain, ...leaving]
  try {
    openAll(options, opened)
  } catch (error) {
    for (const server of all()) void server.stop(true)
    throw error
  }

  const url = secured[0]?.server.url
  if (!url) throw new Error('Nothing listens.')
  return {
    url,
    others,
    controlPath,
    setTls(tls) {
      for (const entry of secured) {
        entry.server = reopen(options, entry.place, entry.server, tls, leaving)
      }
    },
    pending: () => all().reduce((sum, { pendingRequests }) => sum + pendingRequests, 0),
    async stop(atOnce) {
      if (controlPath !== null) rmSync(controlPath, { force: true })
      await Promise.all(all().map((server) => server.stop(atOnce)))
    },
  }
}

/** The main listener is the first of those that are secured. */
function openAll(options: ListenOptions, { secured, plain, others }: Opened): void {
  const { main, admin, metrics, controlPath, tls } = options
  const openSecured = (address: ListenAddress, listener: ListenerKind): Server => {
    const place = { ...address, listener }
    const server = open(options, place, tls)
    secured.push({ place, server })
    return server
  }
  openSecured(main, 'main')
  if (admin) others.admin = openSecured(admin, 'admin').url.href
  if (metrics) {
    const server = open(options, { ...metrics, listener: 'metrics' }, null)
    plain.push(server)
    others.metrics = server.url.href
  }
  if (controlPath !== null) {
    plain.push(openControl(options, controlPath))
    chmodSync(controlPath, 0o600)
  }
}

function open(answering: Answering, address: ListenerAddress, tls: Tls | null): Server {
  const { host, port, listener } = address
  // A second process must fail to listen, not silently share the port.
  const alone = {
    ...handler(answering, listener, false),
    hostname: host,
    port,
    reusePort: false,
  }
  if (tls === null) return Bun.serve<Session>(alone)
  const own = Bun.serve<Session>(alone)
  void own.stop(true)
  return openTls(answering, { host, port: own.port ?? port, listener }, tls)
}

function openTls(answering: Answering, address: ListenerAddress, { cert, key }: Tls): Server {
  const { host, port, listener } = address
  return Bun.serve<Session>({
    ...handler(answering, listener, true),
    hostname: host,
    port,
    reusePort: CAN_SHARE_PORT,
    tls: { cert, key, ciphers: CIPHERS },
  })
}

function openControl(answering: Answering, path: string): Server {
  // Left by a crash: whoever holds the lock of the database is the only server of this directory.
  rmSync(path, { force: true })
  const { idleTimeout: _, ...control } = handler(answering, 'control', false)
  return Bun.serve<Session>({ ...control, unix: path })
}

/** Nobody finds the port closed: both listen until the old one has accepted what has come to it. */
function reopen(
  answering: Answering,
  place: ListenerAddress,
  old: Server,
  tls: Tls,
  leaving: Set<Server>,
): Server {
  const taken = { ...place, port: old.port ?? place.port }
  leaving.add(old)
  const leave = () => void old.stop().then(() => leaving.delete(old))
  if (!CAN_SHARE_PORT) leave()
  const next = openTls(answering, taken, tls)
  // It accepts once a turn. What comes between that and its end is reset: under load, one
  // connection in ten changes.
  if (CAN_SHARE_PORT) setImmediate(() => setImmediate(leave))
  return next
}

function handler({ dispatch, clientOf }: Answering, listener: ListenerKind, isSecure: boolean) {
  return {
    development: false,
    // Bun's answer to an uncaught error would show the source; ours shows a request id.
    error: () => new Response(null, { status: 500 }),
    maxRequestBodySize: REQUEST_BYTES_MAX,
    idleTimeout: IDLE_S,
    fetch: async (request: Request, server: Server) => {
      // Quiet streams are never cut here: the data path keeps its own deadlines.
      server.timeout(request, 0)
      const peer = server.requestIP(request)?.address ?? ''
      const from = { ip: clientOf(peer, request.headers), listener }
      const response = await dispatch(request, from, (data, headers) =>
        server.upgrade(request, { data, headers }),
      )
      // Whoever the answer is by: an upstream's own word about it is of another name, and was left
      // out.
      if (isSecure) response?.headers.set('strict-transport-security', HTTPS_ONLY)
      return response
    },
    websocket: sessions,
  }
}

/**
 * Bun takes it for every listener of the process; Node's types say that it cannot be set (1.4.5).
 */
function setMaxHeaderSize(bytes: number): void {
  Object.assign(http, { maxHeaderSize: bytes })
}
