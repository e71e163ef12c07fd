/**
 * One call, top to bottom: authenticate → match → admit → forward → meter → settle. Nothing before the admission costs
 * the key anything; every exit after it settles exactly once.
 */
import type { ErrorCode, Refusal } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { FindCredential } from '../modules/keys/store.ts'
import type { Units } from '../quota/ledger.ts'
import { type AdmitOptions, type Admitted, createAdmit } from './admit.ts'
import { authenticate } from './authenticate.ts'
import { type Call, elapsedMs, type Peer } from './call.ts'
import { type Deadline, type FailedOutcome, forward, startDeadline } from './forward.ts'
import { responseHeaders } from './headers.ts'
import { type MatchOptions, match, type Target } from './match.ts'
import { meter } from './meter.ts'
import { type QuotaNote, setQuotaHeaders } from './quota-headers.ts'
import { refused } from './respond.ts'

export type HandleOptions = AdmitOptions &
  MatchOptions & { readonly find: FindCredential; readonly clock: Clock }

export type Handle = (request: Request, peer: Peer) => Promise<Response>

const ONE_REQUEST: Units = { requests: 1, tokens: 0, cost: 0 }

/** Rejects only with a fault, such as a store that fails while the key is looked up. */
export function createHandle(options: HandleOptions): Handle {
  const admit = createAdmit(options)

  return async function handle(request, { ip, requestId }) {
    const call: Call = { requestId, ip, at: options.clock(), startedMs: performance.now() }

    const caller = authenticate(request.headers, options.find, call.at)
    if (!caller.ok) return refuse(call, null, caller.refusal)
    const { key } = caller

    const matched = await match(request, caller.raw, options)
    if (!matched.ok) return refuse(call, key.id, matched.refusal)
    const { target } = matched

    const admission = await admit(call, key, '', ONE_REQUEST)
    if (!admission.ok) return refuse(call, key.id, admission.refusal, admission.quota)

    const deadline = startDeadline(request.signal, target.timeoutMs, options.idleTimeoutMs)
    try {
      return await carry(call, target, admission, deadline)
    } catch (fault) {
      // A defect of ours, which must not leave the hold open.
      await fail(call, target, admission, deadline, 'upstream_error')
      throw fault
    }
  }

  /** Sends the call and answers it. Its end is settled here, or when the last byte of the answer has passed. */
  async function carry(call: Call, target: Target, admission: Admitted, deadline: Deadline) {
    const sent = await forward(target.outbound, deadline)
    if (!sent.ok) return fail(call, target, admission, deadline, sent.outcome)

    const { response } = sent
    const { status } = response
    const metered = await meter(response, deadline, ({ outcome, bytes: bytesOut }) => {
      const { bytesIn } = target
      void admission.settle({
        outcome,
        upstreamStatus: status,
        code: null,
        status,
        bytesIn,
        bytesOut,
      })
    })
    if (!metered) {
      return fail(call, target, admission, deadline, deadline.cause() ?? 'upstream_error')
    }
    const headers = responseHeaders(response.headers)
    headers['x-request-id'] = call.requestId
    setQuotaHeaders(headers, admission.expect(status))
    return new Response(metered.body, { status, headers })
  }

  /** Settles a call that the upstream gave no answer to, and says so. */
  async function fail(
    { requestId }: Call,
    { bytesIn }: Target,
    { settle }: Admitted,
    { end }: Deadline,
    outcome: FailedOutcome,
  ) {
    end()
    const failure = FAILURES[outcome]
    const quota = await settle({ ...failure, outcome, upstreamStatus: null, bytesIn, bytesOut: 0 })
    return refused(failure, requestId, quota)
  }

  function refuse(call: Call, keyId: string | null, refusal: Refusal, quota?: QuotaNote | null) {
    const response = refused(refusal, call.requestId, quota ?? undefined)
    const { requestId, ip } = call
    const { code } = refusal
    const none = { cost: 0, bytesIn: 0, bytesOut: 0 }
    options.report({
      requestId,
      ip,
      keyId,
      outcome: 'refused',
      code,
      status: response.status,
      latencyMs: elapsedMs(call),
      ...none,
    })
    return response
  }
}

/** What the client is told when the upstream gave no answer. Says nothing of addresses: the target may be a secret. */
const FAILURES: Record<FailedOutcome, { code: ErrorCode; status: number; message: string }> = {
  upstream_error: {
    code: 'upstream_error',
    status: 502,
    message: 'The upstream could not be reached or broke off before it answered.',
  },
  upstream_timeout: {
    code: 'upstream_timeout',
    status: 504,
    message: 'The upstream did not answer in time.',
  },
  // Nobody is left to read it.
  client_aborted: { code: 'upstream_error', status: 499, message: 'The client left.' },
}
