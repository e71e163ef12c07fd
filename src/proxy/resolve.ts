/**
 * Turns what a client asks for into what will be sent and what it may cost: which upstream, whether the key may, what is
 * reserved. Costs the key nothing, and opens no connection to the target.
 */

import type { Credential } from '../domain/key.ts'
import type { Units } from '../domain/limit.ts'
import type { ChargeOn, Upstream } from '../domain/upstream.ts'
import type { Refusal } from '../errors.ts'
import { estimateUnits, type Metering } from '../metering/reckon.ts'
import { type TapMaker, tapFor } from './answer/taps.ts'
import { setUpstreamFields } from './headers/request.ts'
import type { Ingress } from './ingress.ts'
import { planBody } from './request/body.ts'
import { type ClientCallOptions, type Reader, readClientCall } from './request/client-call.ts'
import { takeReferences } from './request/rewrite-urls.ts'
import { requestsOf, ruleRefusal } from './request/rules.ts'
import { isStreamed } from './request/upload.ts'
import type { Timeouts } from './send/deadline.ts'
import type { EgressGuard } from './send/egress.ts'
import type { Outbound } from './send/forward.ts'
import { isUpgrade } from './send/websocket.ts'

export type Target = {
  readonly outbound: Outbound
  /** Null for an endpoint that is no upstream's. */
  readonly upstream: Upstream | null
  /** The path that stands for the upstream's base URL here; null if its answer is not to name it. */
  readonly base: string | null
  readonly timeouts: Timeouts
  /** Whether running out of time is the upstream's fault: not if the client has set the time, or may be the slow one. */
  readonly timeoutBlamesUpstream: boolean
  readonly chargeOn: ChargeOn
  /** What is reserved before the call goes out. */
  readonly units: Units
  readonly metering: Metering | null
  /** What looks at the answer as it passes, or changes it; null if nothing has to. */
  readonly tap: TapMaker | null
  /** How much of the request's body has passed so far. */
  bytesIn(): number
}

export type Resolution =
  | { readonly ok: true; readonly target: Target }
  | { readonly ok: false; readonly refusal: Refusal }

export type ResolveOptions = ClientCallOptions & {
  readonly guard: EgressGuard
  readonly chargeOn: ChargeOn
  readonly timeoutMs: number
}

export type Caller = Reader & { readonly key: Credential; readonly ip: string }

export async function resolve(
  request: Request,
  ingress: Ingress,
  caller: Caller,
  options: ResolveOptions,
): Promise<Resolution> {
  const drafted = await readClientCall(request, ingress, caller, options)
  if (!drafted.ok) return drafted
  const wanted = drafted.draft
  const refusal =
    ruleRefusal(wanted, caller, isUpgrade(request)) ??
    takeReferences(request, ingress, wanted, caller, options.upstreams)
  if (refusal) return refuse(refusal)
  const content = await planBody(wanted, caller.key)
  if (!content.ok) return content

  const { upstream, method, headers } = wanted
  const checked = await options.guard.check(wanted.url, upstream !== null)
  if (!checked.ok)
    return refuse(upstream ? NO_ADDRESS : { code: 'target_not_allowed', message: checked.message })
  const { destination } = checked
  // Bun's fetch drops leading slashes (1.4.5), and the upstream would be asked for something else.
  if (destination.url.pathname.startsWith('//')) return refuse(EMPTY_SEGMENT)
  if (upstream) {
    setUpstreamFields(headers, upstream, request, caller.ip)
    addQueryCredential(destination.url, upstream)
  }
  const { body, bytesIn, metering } = content
  const tap = tapFor(wanted, caller.key.scope, metering)
  // An encoded answer could not be read as it passes.
  if (tap) headers['accept-encoding'] = 'identity'
  if (isStreamed(body) && body.declared !== null) headers['content-length'] = body.declared

  const { retryConnect = false, totalMs, firstByteMs, idleMs, chargeOn } = upstream?.settings ?? {}
  const longestMs = totalMs ?? options.timeoutMs
  return {
    ok: true,
    target: {
      upstream,
      base:
        ingress.kind === 'upstream' && ingress.upstream.settings.rewriteUrls ? ingress.base : null,
      outbound: { destination, method, headers, body, retryConnect },
      timeouts: {
        totalMs: Math.min(wanted.timeoutMs ?? longestMs, longestMs),
        firstByteMs: firstByteMs ?? options.idleTimeoutMs,
        idleMs: idleMs ?? options.idleTimeoutMs,
      },
      timeoutBlamesUpstream: wanted.timeoutMs === null && !isStreamed(body),
      chargeOn: chargeOn ?? options.chargeOn,
      units: estimateUnits(requestsOf(wanted), metering),
      metering,
      tap,
      bytesIn,
    },
  }
}

/** What the operator has named is allowed anywhere: all that can be wrong is that its name has no address. */
const NO_ADDRESS: Refusal = {
  code: 'upstream_error',
  message: 'The upstream could not be reached: its name has no address.',
}

const EMPTY_SEGMENT: Refusal = {
  code: 'malformed_request',
  message: 'The path of this upstream must not begin with two slashes.',
}

/** As text: searchParams would write anew what the client's query has already. */
function addQueryCredential(url: URL, { settings, secret }: Upstream): void {
  const { credential } = settings
  if (credential?.in !== 'query' || secret === null) return
  const value = credential.template.replace('{secret}', () => secret)
  const parameter = `${encodeURIComponent(credential.name)}=${encodeURIComponent(value)}`
  url.search += `${url.search === '' ? '?' : '&'}${parameter}`
}

function refuse(refusal: Refusal): Resolution {
  return { ok: false, refusal }
}
