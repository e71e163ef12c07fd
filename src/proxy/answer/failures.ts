/** What a call that was admitted ends with if its upstream gave no answer that may be passed on. */

import type { Outcome } from '../../domain/call.ts'
import { ERRORS, type Refusal } from '../../errors.ts'
import { CLIENT_LEFT } from '../../quota/ledger.ts'
import type { AdmittedCall } from '../admit.ts'
import { OPEN_MS } from '../send/breakers.ts'
import type { Deadline } from '../send/deadline.ts'
import type { ForwardFailure } from '../send/forward.ts'
import { shapeOf } from './refusal/shape.ts'
import { refused } from './respond.ts'

export type Failure = ForwardFailure | 'circuit_open' | 'credential_rejected'

/** Settles the call and says why it failed. */
export async function answerFailure(
  { call, received, target, admission }: AdmittedCall,
  deadline: Deadline,
  failure: Failure,
): Promise<Response> {
  deadline.end()
  const { outcome, refusal } = FAILURES[failure]
  const { code } = refusal
  const { status } = ERRORS[code]
  const end = { outcome, code, status, upstreamStatus: null }
  const quota = await admission.settle({ ...end, bytesIn: target.bytesIn(), bytesOut: 0 })
  return refused(refusal, call.requestId, quota, shapeOf(received))
}

const UPSTREAM_ERROR: Refusal = {
  code: 'upstream_error',
  message: 'The upstream could not be reached or broke off before it answered.',
}

/** The texts say nothing of addresses, which may be a secret. */
const FAILURES: Record<Failure, { readonly outcome: Outcome; readonly refusal: Refusal }> = {
  unreachable: { outcome: 'upstream_error', refusal: UPSTREAM_ERROR },
  upstream_error: { outcome: 'upstream_error', refusal: UPSTREAM_ERROR },
  upstream_timeout: {
    outcome: 'upstream_timeout',
    refusal: { code: 'upstream_timeout', message: 'The upstream did not answer in time.' },
  },
  client_aborted: { outcome: 'client_aborted', refusal: CLIENT_LEFT },
  interrupted: {
    outcome: 'interrupted',
    refusal: {
      code: 'shutting_down',
      message: 'The server was stopped before the call was answered.',
    },
  },
  never_sent: { outcome: 'not_sent', refusal: CLIENT_LEFT },
  unsendable: {
    outcome: 'not_sent',
    refusal: {
      code: 'malformed_request',
      message:
        'The request has a header that cannot be sent on. Send names and values as RFC 9110 has them.',
    },
  },
  no_socket: {
    outcome: 'not_sent',
    refusal: {
      code: 'overloaded',
      message: 'The server has no connection left for this call. Try again in a moment.',
      retryAfterS: 1,
    },
  },
  upload_too_large: {
    outcome: 'not_sent',
    refusal: { code: 'request_too_large', message: 'The request body is too large.' },
  },
  circuit_open: {
    outcome: 'not_sent',
    refusal: {
      code: 'upstream_unavailable',
      message:
        'The upstream has failed several calls in a row; nothing is sent to it for a moment.',
      retryAfterS: Math.ceil(OPEN_MS / 1000),
    },
  },
  credential_rejected: {
    outcome: 'upstream_error',
    refusal: {
      code: 'upstream_credential_rejected',
      message: 'The upstream refused the credential of the operator, who has been told.',
    },
  },
}
