/**
 * A WebSocket passed through to a named upstream (RFC 6455): opened there first, then here; messages pass both ways as
 * they are; what closes one side closes the other, with its code and its reason. It ends after its longest life, and when
 * either side falls so far behind that its messages would pile up. Neither side can keep it open once it has ended.
 */
import type { ServerWebSocket, WebSocketHandler } from 'bun'
import type { Fields } from '../headers/fields.ts'
import type { Deadline } from './deadline.ts'
import type { ForwardFailure } from './forward.ts'
import type { AdmittedOutbound } from './outbound.ts'

/** What a connection holds while it lives; the listener's handlers know nothing else of it. */
export type Session = {
  opened(client: ServerWebSocket<Session>): void
  message(data: string | Uint8Array): void
  closed(code: number, reason: string): void
}

/** Turns the request into a WebSocket; false if it is none, or its client has gone. */
export type Upgrade = (session: Session, headers: Record<string, string>) => boolean

export type SocketEnd = { readonly bytesIn: number; readonly bytesOut: number }

/** What the upstream says to the handshake; the socket is there if it says 101. */
export type Handshake =
  | {
      readonly ok: true
      readonly response: { readonly status: number }
      readonly socket: WebSocket | null
    }
  | { readonly ok: false; readonly failure: ForwardFailure }

/** RFC 6455 section 4.2.2. */
export const SWITCHED = 101

/** What may wait to be sent to one side. A message is not held back for its own size, only for what waits before it. */
const BEHIND_BYTES_MAX = 4 * 1024 * 1024

/** uWebSockets' own limit for what comes from clients; what comes from upstreams is held to the same. */
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024

/** A close takes one small message each way: an upstream that has not answered it by then has gone, or does not read. */
const CLOSE_MS = 2_000

/** RFC 6455 section 7.4.1. */
const GOING_AWAY = 1001
const NO_CODE = 1005
const ABNORMAL = 1006
const TOO_BIG = 1009
const FAILED = 1011
const TRY_LATER = 1013

/** Whether the request asks for a WebSocket, and says nothing of how it would shake hands. */
export function isProbe(method: string, fields: Fields): boolean {
  return asksForSocket(method, fields) && fields['sec-websocket-key'] === undefined
}

function asksForSocket(method: string, { upgrade }: Fields): boolean {
  return method === 'GET' && upgrade !== undefined && /(?:^|,)\s*websocket\s*(?:,|$)/i.test(upgrade)
}

/** RFC 6455 section 4.2.1. Anything less is a plain request: RFC 9110 section 7.8 allows to ignore its Upgrade. */
export function isUpgrade(method: string, fields: Fields): boolean {
  return (
    asksForSocket(method, fields) &&
    fields['sec-websocket-version'] === '13' &&
    fields['sec-websocket-key']?.length === KEY_CHARS
  )
}

/** Sixteen bytes in base64. */
const KEY_CHARS = 24

/** Opens the connection to the upstream; gives up at the deadline. Never rejects. */
export function openSocket(
  { destination, target, headers }: AdmittedOutbound,
  protocols: readonly string[],
  deadline: Deadline,
): Promise<Handshake> {
  const { isSecure, authority, host } = destination
  const own = Object.entries(headers).filter(([name]) => !name.startsWith('sec-websocket-'))
  return new Promise((resolve) => {
    const socket = new WebSocket(`${isSecure ? 'wss' : 'ws'}://${authority}${target}`, {
      headers: Object.fromEntries(own),
      // Bun would unpack a message of an upstream to up to 128 MiB, and has no bound to set (1.4.5).
      perMessageDeflate: false,
      ...(protocols.length > 0 && { protocols: [...protocols] }),
      ...(isSecure && { tls: { serverName: host } }),
    })
    socket.binaryType = 'arraybuffer'
    const fail = () => {
      resolve({ ok: false, failure: deadline.cause() ?? 'upstream_error' })
      socket.terminate()
    }
    socket.addEventListener('open', () =>
      resolve({ ok: true, response: { status: SWITCHED }, socket }),
    )
    socket.addEventListener('error', (event) => {
      const status = statusIn(event)
      if (status !== null) resolve({ ok: true, response: { status }, socket: null })
      else if (isUnreachable(event) && deadline.cause() === null)
        resolve({ ok: false, failure: 'unreachable' })
      fail()
    })
    socket.addEventListener('close', fail, { once: true })
    if (deadline.signal.aborted) fail()
    else deadline.signal.addEventListener('abort', fail, { once: true })
  })
}

/**
 * Bun tells in words only what an upstream has said that is no open WebSocket. One that switches, but to none of the
 * protocols that the client offers, has answered too: that is no fault of its own.
 */
function statusIn(event: Event): number | null {
  const message = 'message' in event ? String(event.message) : ''
  const said = /failed: (?:Expected 101 status code: (\d{3})$|Mismatch |Missing )/.exec(message)
  return said ? Number(said[1] ?? SWITCHED) : null
}

/** Nothing that a request says brings that about. */
function isUnreachable(event: Event): boolean {
  const message = 'message' in event ? String(event.message) : ''
  return /failed: (?:Failed to connect$|TLS handshake failed)/.test(message)
}

/**
 * Relays between an open upstream and a client that is about to be one. `onEnd` is called exactly once, if the client
 * ever is.
 */
export function createSession(
  upstream: WebSocket,
  lifeMs: number,
  onEnd: (end: SocketEnd) => void,
): Session {
  const session = new RelaySession(upstream, lifeMs, onEnd)
  upstream.addEventListener('message', ({ data }) =>
    session.toClient(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer)),
  )
  upstream.addEventListener('close', ({ code, reason }) => session.closed(code, reason))
  return session
}

class RelaySession implements Session {
  readonly #upstream: WebSocket
  readonly #lifeMs: number
  readonly #onEnd: (end: SocketEnd) => void
  #client: ServerWebSocket<Session> | null = null
  /** What the upstream says before the client is there. */
  #early: (string | Uint8Array)[] = []
  #earlyEnd: { readonly code: number; readonly reason: string } | null = null
  #life: Timer | undefined
  #bytesIn = 0
  #bytesOut = 0
  #ended = false

  constructor(upstream: WebSocket, lifeMs: number, onEnd: (end: SocketEnd) => void) {
    this.#upstream = upstream
    this.#lifeMs = lifeMs
    this.#onEnd = onEnd
  }

  opened(client: ServerWebSocket<Session>): void {
    this.#client = client
    const over = () => this.closed(GOING_AWAY, 'its longest life is over')
    this.#life = setTimeout(over, this.#lifeMs)
    for (const data of this.#early) this.toClient(data)
    this.#early = []
    if (this.#earlyEnd) this.closed(this.#earlyEnd.code, this.#earlyEnd.reason)
  }

  message(data: string | Uint8Array): void {
    if (this.#ended) return
    if (this.#upstream.bufferedAmount > BEHIND_BYTES_MAX)
      this.closed(TRY_LATER, 'the upstream is too far behind')
    else {
      this.#bytesIn += Buffer.byteLength(data)
      this.#upstream.send(data)
    }
  }

  /** Passes on what the upstream says. */
  toClient(data: string | Uint8Array): void {
    if (this.#ended) return
    if (!this.#client) {
      this.#early.push(data)
      return
    }
    const bytes = Buffer.byteLength(data)
    if (bytes > MESSAGE_BYTES_MAX) this.closed(TOO_BIG, 'a message of the upstream is too big')
    else if (this.#client.getBufferedAmount() > BEHIND_BYTES_MAX)
      this.closed(TRY_LATER, 'the client is too far behind')
    else {
      this.#bytesOut += bytes
      this.#client.send(data)
    }
  }

  /** Ends both sides: either has closed, or has gone too far. */
  closed(code: number, reason: string): void {
    if (this.#ended) return
    if (!this.#client) {
      this.#earlyEnd ??= { code, reason }
      return
    }
    this.#ended = true
    clearTimeout(this.#life)
    // uWebSockets itself cuts off, within sixteen seconds, whoever does not answer this or does not read.
    this.#client.close(sayable(code, FAILED), reason)
    closeUpstream(this.#upstream, code, reason)
    this.#onEnd({ bytesIn: this.#bytesIn, bytesOut: this.#bytesOut })
  }
}

export function closeUpstream(upstream: WebSocket, code = GOING_AWAY, reason = ''): void {
  const said = sayable(code, GOING_AWAY)
  if (said === NO_CODE) upstream.close()
  else upstream.close(said, reason)
  setTimeout(() => upstream.terminate(), CLOSE_MS)
}

/** RFC 6455 section 7.4: the codes that may stand in a close, and none at all. The platform throws at any other. */
function sayable(code: number, instead: number): number {
  const known = code >= 1000 && code <= 1014 && code !== 1004 && code !== ABNORMAL
  return known || (code >= 3000 && code <= 4999) ? code : instead
}

/** The listener's side, for every connection there is. */
export const sessions: WebSocketHandler<Session> = {
  maxPayloadLength: MESSAGE_BYTES_MAX,
  // Sessions keep to limits of their own, which close with a code and a reason.
  backpressureLimit: 2 * MESSAGE_BYTES_MAX,
  // What a client compresses is unpacked within that length, too.
  perMessageDeflate: true,
  open: (socket) => socket.data.opened(socket),
  message: (socket, data) => socket.data.message(data),
  close: (socket, code, reason) => socket.data.closed(code, reason),
}
