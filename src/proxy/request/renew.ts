/**
 * A call whose upstream was changed, perhaps by another replica, after it had been found: what its client asks for stays as it
 * was read, and goes to the upstream as it is now. Its body can be read only once, so that nothing is read anew.
 */
import type { Upstreams } from '../../domain/upstream.ts'
import type { Ingress } from '../ingress.ts'
import { type Aim, aimAt, aimBelow } from './aim.ts'
import { type ClientCallRead, NO_SUCH_UPSTREAM, type Received } from './client-call.ts'

type CallRead = { readonly received: Received; readonly read: ClientCallRead }

export function renewed({ received, read }: CallRead, upstreams: Upstreams): CallRead {
  const { ingress } = received
  if (!read.ok || ingress.kind === 'unknown') return { received, read }
  const aimed = (aim: Aim): ClientCallRead => {
    return { ok: true, clientCall: { ...read.clientCall, ...aim } }
  }
  if (ingress.kind === 'envelope') {
    const { origin, pathname, search } = read.clientCall
    return { received, read: aimed(aimAt(new URL(origin.origin + pathname + search), upstreams)) }
  }
  const upstream = upstreamNow(ingress, upstreams)
  if (!upstream) return { received, read: { ok: false, refusal: NO_SUCH_UPSTREAM } }
  const { rest, search } = ingress
  return {
    received: { ...received, ingress: { ...ingress, upstream } },
    read: aimed(aimBelow(upstream, rest, search)),
  }
}

/** Null if what it was called by leads to it no more. */
function upstreamNow(
  { upstream: { name }, base }: Extract<Ingress, { kind: 'upstream' }>,
  upstreams: Upstreams,
) {
  const upstream = upstreams.byName(name)
  const leadsThere = base === `/u/${name}` || base === upstream?.mount
  return leadsThere ? upstream : null
}
