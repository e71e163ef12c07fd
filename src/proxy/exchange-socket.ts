/** Opens a WebSocket for a call that was admitted. It is charged once, whatever passes through it, and settled at its end. */

import { TOKEN_CHAR } from '../lib/http-syntax.ts'
import type { AdmittedCall } from './admit.ts'
import { answerFailure } from './answer/failures.ts'
import { type ExchangeOptions, isCredentialRejected } from './exchange.ts'
import { socketHeaders } from './headers/response.ts'
import type { Received } from './request/client-call.ts'
import { type Deadline, startDeadline } from './send/deadline.ts'
import {
  closeUpstream,
  createSession,
  openSocket,
  SWITCHED,
  type Upgrade,
} from './send/websocket.ts'

export type SocketOptions = {
  readonly received: Received
  /** The key as it was presented, which goes nowhere. */
  readonly raw: string
  readonly upgrade: Upgrade
}

/** Undefined once the request has become a WebSocket. */
export type SocketExchange = (
  admitted: AdmittedCall,
  options: SocketOptions,
) => Promise<Response | undefined>

export function createSocketExchange({
  breakers,
  onCredentialRejected,
  leaving,
}: ExchangeOptions): SocketExchange {
  return async function exchangeSocket(admitted, options) {
    const { key, target, admission, client } = admitted
    const name = target.upstream?.name ?? ''
    const caller = { leaving, key: key.seq, upstream: name }
    const deadline = startDeadline(client, target.timeouts, caller)
    try {
      const protocols = protocolsOf(options)
      const { timeoutBlamesUpstream } = target
      const attempt = { upstream: name, key: key.seq, timeoutBlamesUpstream }
      const said = await breakers.attempt(attempt, () =>
        openSocket(admission.outbound(), protocols, deadline),
      )
      if (said === null) return await answerFailure(admitted, deadline, 'circuit_open')
      if (!said.ok) return await answerFailure(admitted, deadline, said.failure)
      if (said.socket) return await join(admitted, options, said.socket, deadline)
      const { status } = said.response
      const rejected = isCredentialRejected(target, status)
      if (rejected) onCredentialRejected(name, status)
      const failure = rejected ? 'credential_rejected' : 'upstream_error'
      return await answerFailure(admitted, deadline, failure)
    } catch (fault) {
      // A defect of ours, which must not leave the hold open.
      await answerFailure(admitted, deadline, 'upstream_error')
      throw fault
    }
  }
}

/** Makes the client the other side of an open socket. */
async function join(
  admitted: AdmittedCall,
  { upgrade }: SocketOptions,
  upstream: WebSocket,
  deadline: Deadline,
): Promise<Response | undefined> {
  const { call, target, admission } = admitted
  deadline.end()
  const session = createSession(upstream, target.socketMs ?? 0, (sums) => {
    const status = SWITCHED
    const end = { outcome: 'answered', upstreamStatus: status, code: null, status } as const
    void admission.settle({ ...end, ...sums })
  })
  const quota = admission.expect(SWITCHED)
  const headers = socketHeaders(call.requestId, upstream.protocol, quota)
  if (upgrade(session, headers)) return undefined
  closeUpstream(upstream)
  return answerFailure(admitted, deadline, 'client_aborted')
}

/** RFC 6455 section 11.3.4. Some clients put their key there; and what is no list of different tokens cannot be sent. */
function protocolsOf({ received, raw }: SocketOptions): string[] {
  const list = received.fields['sec-websocket-protocol']?.split(',') ?? []
  const names = list.map((name) => name.trim())
  return [...new Set(names)].filter((name) => TOKEN.test(name) && !name.includes(raw))
}

const TOKEN = new RegExp(`^${TOKEN_CHAR}+$`)
