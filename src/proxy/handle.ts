/**
 * One call, top to bottom: authenticate → match → admit → forward → meter → settle. Nothing before the admission costs
 * the key anything; every exit after it settles exactly once.
 */
import type { ErrorCode, Refusal } from '../errors.ts'
import type { Sender } from '../http/request-name.ts'
import type { Clock } from '../lib/clock.ts'
import type { FindCredential } from '../modules/keys/store.ts'
import type { Units } from '../quota/ledger.ts'
import { type AdmitOptions, type Admitted, createAdmit } from './admit.ts'
import { authenticate } from './authenticate.ts'
import { type Call, elapsedMs } from './call.ts'
import { type FailedOutcome, forward, startDeadline } from './forward.ts'
import { responseHeaders } from './headers.ts'
import { type MatchOptions, match, type Target } from './match.ts'
import { meter } from './meter.ts'
import { type QuotaNote, setQuotaHeaders } from './quota-headers.ts'
import { refused } from './respond.ts'

export type HandleOptions = AdmitOptions &
  MatchOptions & { readonly find: FindCredential; readonly clock: Clock }

export type Handle = (request: Request, sender: Sender) => Promise<Response>

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

    return carry(call, target, admission, request.signal)
  }

  /** Sends the call and answers it. Its end is settled here, or when the last byte of the answer has passed. */
  async function carry(
    call: Call,
    target: Target,
    { expect, settle }: Admitted,
    client: AbortSignal,
  ) {
    const { bytesIn } = target
    const deadline = startDeadline(client, target.timeoutMs, options.idleTimeoutMs)

    const fail = async (outcome: FailedOutcome) => {
      deadline.end()
      const failure = FAILURES[outcome]
      const end = { ...failure, outcome, upstreamStatus: null, bytesIn, bytesOut: 0 }
      return refused(failure, call.requestId, await settle(end))
    }

    try {
      const sent = await forward(target.outbound, deadline)
      if (!sent.ok) return await fail(sent.outcome)
      const { response } = sent
      const { status } = response
      const metered = await meter(response, deadline, ({ outcome, bytes: bytesOut }) => {
        void settle({ outcome, upstreamStatus: status, code: null, status, bytesIn, bytesOut })
      })
      if (!metered) return await fail(deadline.cause() ?? 'upstream_error')
      const headers = responseHeaders(response.headers)
      headers['x-request-id'] = call.requestId
      setQuotaHeaders(headers, expect(status))
      return new Response(metered.body, { status, headers })
    } catch (fault) {
      // A defect of ours, which must not leave the hold open.
      await fail('upstream_error')
      throw fault
    }
  }

  function refuse(call: Call, keyId: string | null, refusal: Refusal, quota?: QuotaNote | null) {
    const { requestId, ip } = call
    const response = refused(refusal, requestId, quota ?? undefined)
    const { code } = refusal
    const end = { outcome: 'refused', code, status: response.status, cost: 0 } as const
    const sums = { latencyMs: elapsedMs(call), bytesIn: 0, bytesOut: 0 }
    options.report({ requestId, ip, keyId, ...end, ...sums })
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
