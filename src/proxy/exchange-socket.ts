/**
 * Opens a WebSocket for a call that was admitted. The call itself is charged once and settled at its end; what the upstream
 * reports meanwhile is charged as it arrives.
 */

import { hashKey } from '../domain/key/secret.ts'
import type { AdmittedCall } from './admit.ts'
import { answerFailure } from './answer/failures.ts'
import { type ExchangeOptions, exchangeBy, isCredentialRejected } from './exchange.ts'
import { socketHeaders } from './headers/response.ts'
import type { Received } from './request/client-call.ts'
import type { Deadline } from './send/deadline.ts'
import { openSocket, type SocketEnd, SWITCHED, type Upgrade } from './send/websocket.ts'
import { createSocketMeter, type SocketMeterOptions, socketMetering } from './sockets/meter.ts'
import { createModelObjection } from './sockets/models.ts'
import type { OpenSockets } from './sockets/open-sockets.ts'
import { closeUpstream, createSession } from './sockets/relay.ts'
import { offeredProtocols } from './sockets/subprotocol.ts'

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

export type SocketExchangeOptions = ExchangeOptions &
  SocketMeterOptions & { readonly openSockets: OpenSockets }

export function createSocketExchange(own: SocketExchangeOptions): SocketExchange {
  return (admitted, options) => {
    const { target, admission } = admitted
    const hasCredential = (target.upstream?.secret ?? null) !== null
    const send = (deadline: Deadline) => {
      const protocols = offeredProtocols(options.received.fields, options.raw, hasCredential)
      return openSocket(admission.outbound(), protocols, deadline)
    }
    return exchangeBy(own, admitted, send, async ({ socket, response }, deadline) => {
      if (socket) return await join(own, admitted, options, socket, deadline)
      const rejected = isCredentialRejected(target, response.status)
      if (rejected) own.onCredentialRejected(target.upstream?.name ?? '', response.status)
      const failure = rejected ? 'credential_rejected' : 'upstream_error'
      return await answerFailure(admitted, deadline, failure)
    })
  }
}

/** Makes the client the other side of an open socket. */
async function join(
  own: SocketExchangeOptions,
  admitted: AdmittedCall,
  { upgrade, raw }: SocketOptions,
  socket: WebSocket,
  deadline: Deadline,
): Promise<Response | undefined> {
  const { call, key, target, admission } = admitted
  const { upstream } = target
  deadline.end()
  const end = (code: number, reason: string) => session.end(code, reason)
  const forget = own.openSockets.add({ hash: hashKey(raw), upstream, end })
  const metering = socketMetering(target)
  const parties = metering && { call, key, upstream: upstream?.name ?? '', metering }
  const meter = parties && createSocketMeter(own, parties, end)
  const onEnd = (sums: SocketEnd) => {
    forget()
    const status = SWITCHED
    const ended = { outcome: 'answered', upstreamStatus: status, code: null, status } as const
    void admission.settle({ ...ended, ...sums })
  }
  const objection = createModelObjection(key.scope)
  const heard = meter && ((message: string | Uint8Array) => meter.heard(message))
  const session = createSession(socket, target.socketMs ?? 0, onEnd, { heard, objection })
  const quota = admission.expect(SWITCHED)
  const headers = socketHeaders(call.requestId, socket.protocol, quota)
  if (upgrade(session, headers)) return undefined
  forget()
  closeUpstream(socket)
  return answerFailure(admitted, deadline, 'client_aborted')
}
