/**
 * The only outbound `fetch` for calls. It connects to the address that was checked, follows no redirect, uses no proxy
 * of the environment, and never throws: trouble comes back as a value. A request is sent at most once.
 */
import type { Outcome } from '../quota/ledger.ts'
import type { Destination } from './egress.ts'
import type { Fields } from './headers.ts'

export type Outbound = {
  readonly destination: Destination
  readonly method: string
  readonly headers: Fields
  readonly body: string | null
}

export type ForwardResult =
  | { readonly ok: true; readonly response: Response }
  | { readonly ok: false; readonly outcome: FailedOutcome }

export type FailedOutcome = Extract<
  Outcome,
  'upstream_error' | 'upstream_timeout' | 'client_aborted'
>

/** Methods that Bun silently sends again when a kept-alive connection turns out to be dead (bun#28706). */
const RESENT_BY_BUN = ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS']

/** RFC 9110 section 15: what a final answer may say. Response takes nothing else. */
const STATUS_MIN = 200
const STATUS_MAX = 599

export async function forward(outbound: Outbound, deadline: Deadline): Promise<ForwardResult> {
  const { destination, method, headers, body } = outbound
  const { url, host, port, address, family } = destination
  const authority = family === 6 ? `[${address}]:${port}` : `${address}:${port}`
  try {
    const response = await fetch(`${url.protocol}//${authority}${url.pathname}${url.search}`, {
      method,
      headers: { ...headers, host: url.host },
      body,
      redirect: 'manual',
      // Bun would obey HTTP_PROXY and its like, and the checked address would no longer be the one connected to.
      proxy: false,
      // The body passes as it is encoded; Content-Encoding and Content-Length stay true.
      decompress: false,
      // One charge, at most one upstream request: a fresh connection is never stale.
      keepalive: !RESENT_BY_BUN.includes(method),
      signal: deadline.signal,
      ...(url.protocol === 'https:' && { tls: { serverName: host } }),
    })
    deadline.touch()
    if (response.status < STATUS_MIN || response.status > STATUS_MAX) {
      void response.body?.cancel().catch(() => {})
      return { ok: false, outcome: 'upstream_error' }
    }
    return { ok: true, response }
  } catch {
    return { ok: false, outcome: deadline.cause() ?? 'upstream_error' }
  }
}

export type Deadline = {
  readonly signal: AbortSignal
  /** Something has arrived: the silence starts anew. */
  touch(): void
  /** Why the call was given up; null if it was not. */
  cause(): 'client_aborted' | 'upstream_timeout' | null
  /** Gives the call up, because the client has. */
  abandon(): void
  /** Stops the timers; must be called on every exit. */
  end(): void
}

/** Bounds a call: in whole by `totalMs`, in silence by `idleMs`, and by its client staying. */
export function startDeadline(client: AbortSignal, totalMs: number, idleMs: number): Deadline {
  const controller = new AbortController()
  let cause: 'client_aborted' | 'upstream_timeout' | null = null
  const give = (why: 'client_aborted' | 'upstream_timeout') => {
    cause ??= why
    controller.abort()
  }
  const late = () => give('upstream_timeout')
  const left = () => give('client_aborted')
  const total = setTimeout(late, totalMs)
  const idle = setTimeout(late, idleMs)
  if (client.aborted) left()
  else client.addEventListener('abort', left, { once: true })
  return {
    signal: controller.signal,
    touch: () => void idle.refresh(),
    cause: () => cause,
    abandon: left,
    end() {
      clearTimeout(total)
      clearTimeout(idle)
      client.removeEventListener('abort', left)
    },
  }
}
