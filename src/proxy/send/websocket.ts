/**
 * The two ends of a WebSocket that is passed through to a named upstream (RFC 6455): it is opened there first, then here.
 * What passes between them is the business of src/proxy/sockets/relay.ts.
 */
import type { ServerWebSocket, WebSocketHandler } from 'bun'
import type { Deadline } from './deadline.ts'
import type { ForwardFailure } from './forward.ts'
import type { AdmittedOutbound } from './outbound.ts'

/** What a connection holds while it lives; the listener's handlers know nothing else of it. */
export type Session = {
  opened(client: ServerWebSocket<Session>): void
  message(data: string | Uint8Array): void
  /** The client has closed, or has gone. */
  closed(code: number, reason: string): void
  /** Ends both sides for a reason that is ours, which the client is told. Only the first time counts. */
  end(code: number, reason: string): void
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

/** uWebSockets' own limit for what comes from clients; what comes from upstreams is held to the same. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024

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
