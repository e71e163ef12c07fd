/**
 * Relays between an open WebSocket of an upstream and one of a client: messages pass both ways as they are; what closes one
 * side closes the other, with its code and its reason. It ends after its longest life, and when either side falls so far
 * behind that its messages would pile up. Neither side can keep it open once it has ended.
 */
import type { ServerWebSocket } from 'bun'
import { MESSAGE_BYTES_MAX, type Session, type SocketEnd } from '../send/websocket.ts'
import { type Linger, startLinger } from './linger.ts'
import type { Objection } from './models.ts'
import { GOING_AWAY, POLICY, reasonOf, TRY_LATER } from './reason.ts'

/** What may wait to be sent to one side. A message is not held back for its own size, only for what waits before it. */
const BEHIND_BYTES_MAX = 4 * 1024 * 1024

/** A close takes one small message each way: an upstream that has not answered it by then has gone, or does not read. */
const CLOSE_MS = 2_000

/** RFC 6455 section 7.4.1. */
const NO_CODE = 1005
const ABNORMAL = 1006
const TOO_BIG = 1009
const FAILED = 1011

export type Listeners = {
  /** Told of each message of the upstream as it arrives, also of those that come when the client has gone. */
  readonly heard?: ((message: string | Uint8Array) => void) | null
  readonly objection?: Objection | null
}

/**
 * Relays between an open upstream and a client that is about to be one. `onEnd` is called exactly once, if the client
 * ever is.
 */
export function createSession(
  upstream: WebSocket,
  lifeMs: number,
  onEnd: (end: SocketEnd) => void,
  listeners: Listeners = {},
): Session {
  const session = new RelaySession(upstream, lifeMs, onEnd, listeners)
  upstream.addEventListener('message', ({ data }) =>
    session.said(typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer)),
  )
  upstream.addEventListener('close', ({ code, reason }) => session.upstreamClosed(code, reason))
  return session
}

type Close = { readonly code: number; readonly reason: string }

class RelaySession implements Session {
  readonly #upstream: WebSocket
  readonly #lifeMs: number
  readonly #onEnd: (end: SocketEnd) => void
  readonly #heard: Listeners['heard']
  readonly #objection: Listeners['objection']
  #client: ServerWebSocket<Session> | null = null
  /** What the upstream says before the client is there. */
  #early: (string | Uint8Array)[] = []
  #earlyEnd: Close | null = null
  #life: Timer | undefined
  #bytesIn = 0
  #bytesOut = 0
  #ended = false
  #linger: Linger | null = null

  constructor(
    upstream: WebSocket,
    lifeMs: number,
    onEnd: (end: SocketEnd) => void,
    { heard, objection }: Listeners,
  ) {
    this.#upstream = upstream
    this.#lifeMs = lifeMs
    this.#onEnd = onEnd
    this.#heard = heard
    this.#objection = objection
  }

  opened(client: ServerWebSocket<Session>): void {
    this.#client = client
    const over = () => this.#close(GOING_AWAY, 'its longest life is over')
    this.#life = setTimeout(over, this.#lifeMs)
    for (const data of this.#early) this.#pass(data)
    this.#early = []
    if (this.#earlyEnd) this.#close(this.#earlyEnd.code, this.#earlyEnd.reason)
  }

  message(data: string | Uint8Array): void {
    if (this.#ended) return
    const refusal = this.#objection?.(data)
    if (refusal) this.end(POLICY, reasonOf(refusal))
    else if (this.#upstream.bufferedAmount > BEHIND_BYTES_MAX)
      this.#close(TRY_LATER, 'the upstream is too far behind')
    else {
      this.#bytesIn += Buffer.byteLength(data)
      this.#upstream.send(data)
    }
  }

  said(data: string | Uint8Array): void {
    this.#heard?.(data)
    if (!this.#ended) this.#pass(data)
    else if (this.#linger) this.#linger.heard(Buffer.byteLength(data))
  }

  closed(code: number, reason: string): void {
    this.#close(code, reason, () => this.#leave({ code, reason }))
  }

  upstreamClosed(code: number, reason: string): void {
    this.#close(code, reason)
  }

  end(code: number, reason: string): void {
    // What a key has left is no business of the upstream's.
    this.#close(code, reason, () => this.#leave({ code: GOING_AWAY, reason: '' }))
  }

  #pass(data: string | Uint8Array): void {
    if (this.#ended) return
    if (!this.#client) {
      this.#early.push(data)
      return
    }
    const bytes = Buffer.byteLength(data)
    if (bytes > MESSAGE_BYTES_MAX) this.#close(TOO_BIG, 'a message of the upstream is too big')
    else if (this.#client.getBufferedAmount() > BEHIND_BYTES_MAX)
      this.#close(TRY_LATER, 'the client is too far behind')
    else {
      this.#bytesOut += bytes
      this.#client.send(data)
    }
  }

  /** Ends both sides: either has closed, or has gone too far. `leave` says how the upstream is left. */
  #close(
    code: number,
    reason: string,
    leave = () => closeUpstream(this.#upstream, code, reason),
  ): void {
    if (this.#ended) return
    if (!this.#client) {
      this.#earlyEnd ??= { code, reason }
      return
    }
    this.#ended = true
    clearTimeout(this.#life)
    // uWebSockets itself cuts off, within sixteen seconds, whoever does not answer this or does not read.
    this.#client.close(sayable(code, FAILED), reason)
    leave()
    this.#onEnd({ bytesIn: this.#bytesIn, bytesOut: this.#bytesOut })
  }

  /** Closes the upstream when it has reported what it did. */
  #leave({ code, reason }: Close): void {
    if (this.#heard) this.#linger = startLinger(() => closeUpstream(this.#upstream, code, reason))
    else closeUpstream(this.#upstream, code, reason)
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
