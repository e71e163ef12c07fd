/**
 * The only outbound `fetch` for calls. It connects to the address that was checked, follows no redirect, uses no proxy
 * of the environment, and never throws: trouble comes back as a value. A request is sent at most once, and once more only
 * if its connection was refused.
 */
import { errorCode } from '../../lib/error-code.ts'
import { isStreamed } from '../request/body/upload.ts'
import type { Deadline } from './deadline.ts'
import type { AdmittedOutbound } from './outbound.ts'

export type ForwardResult =
  | { readonly ok: true; readonly response: Response }
  | { readonly ok: false; readonly failure: ForwardFailure }

/** `unsendable`, `no_socket` and `never_sent` mean that no byte has left, for a reason that is not the upstream's. */
export type ForwardFailure =
  /** No connection: refused, no route, or TLS that fails. Nothing that a request says brings that about. */
  | 'unreachable'
  /** Broke off, or said what is no HTTP. */
  | 'upstream_error'
  | 'upstream_timeout'
  | 'client_aborted'
  /** The server was stopped. */
  | 'interrupted'
  | 'upload_too_large'
  /** Bun's fetch takes no such request. */
  | 'unsendable'
  /** This machine has no socket left. */
  | 'no_socket'
  /** The client had left before, or before its request was whole. */
  | 'never_sent'

/** RFC 9110 section 9.2.1, but for TRACE, which is not passed on. */
const SAFE = ['GET', 'HEAD', 'OPTIONS']

/** Bun silently sends these again, too, when a kept-alive connection turns out to be dead (bun#28706). */
const RESENT_BY_BUN = ['PUT', 'DELETE']

/** RFC 9110 section 15: what a final answer may say. Response takes nothing else. */
const STATUS_MIN = 200
const STATUS_MAX = 599

/** Long enough for a listener that is being restarted, short enough to go unnoticed. */
const RETRY_MS = 100

export async function forward(
  outbound: AdmittedOutbound,
  deadline: Deadline,
): Promise<ForwardResult> {
  const { body } = outbound
  if (hasLeft(deadline)) return { ok: false, failure: 'never_sent' }
  try {
    const response = await send(outbound, deadline)
    deadline.touch()
    const { status, headers } = response
    if (status < STATUS_MIN || status > STATUS_MAX || hasUnknownCoding(headers)) {
      void response.body?.cancel().catch(() => {})
      return { ok: false, failure: 'upstream_error' }
    }
    return { ok: true, response }
  } catch (error) {
    if (isStreamed(body) && body.isTooLarge()) return { ok: false, failure: 'upload_too_large' }
    const cause = deadline.cause()
    const isPartial = isStreamed(body) && !body.isPassedOn()
    if (isPartial && hasLeft(deadline)) return { ok: false, failure: 'never_sent' }
    return { ok: false, failure: cause ?? failureOf(errorCode(error)) }
  }
}

/** Be it by itself, or as the server stops. */
function hasLeft(deadline: Deadline): boolean {
  const cause = deadline.cause()
  return cause === 'client_aborted' || cause === 'interrupted'
}

/**
 * Bun undoes no other coding than this and passes the body on as it came, without a word of what it is (1.4.5). None may be
 * sent that was not asked for with TE (RFC 9112 section 7.4).
 */
const CODINGS = ['chunked', 'identity']

function hasUnknownCoding(headers: Headers): boolean {
  const codings = headers.get('transfer-encoding')?.toLowerCase().split(',') ?? []
  return codings.some((coding) => !CODINGS.includes(coding.trim()))
}

/** Of Bun 1.4.5. What is not listed may have been brought about by the request. */
function failureOf(code: string): ForwardFailure {
  if (UNREACHABLE.has(code) || CERTIFICATE.test(code)) return 'unreachable'
  if (NO_SOCKET.has(code)) return 'no_socket'
  // Names and values of headers that are refused have no code.
  return code === '' || UNSENDABLE.test(code) ? 'unsendable' : 'upstream_error'
}

const UNREACHABLE = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'EPROTO'])
const CERTIFICATE = /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_|HOSTNAME_MISMATCH)/
const NO_SOCKET = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'EADDRNOTAVAIL'])
const UNSENDABLE = /^ERR_(?:INVALID_|HTTP_)/

async function send(outbound: AdmittedOutbound, deadline: Deadline): Promise<Response> {
  try {
    return await fetchOnce(outbound, deadline)
  } catch (error) {
    // Nobody listened, so no byte can have arrived. A body that is streamed may have been read, though.
    const again =
      outbound.retryConnect && errorCode(error) === 'ECONNREFUSED' && !isStreamed(outbound.body)
    if (!again || deadline.signal.aborted) throw error
    await Bun.sleep(RETRY_MS)
    return await fetchOnce(outbound, deadline)
  }
}

function fetchOnce(outbound: AdmittedOutbound, deadline: Deadline): Promise<Response> {
  const { destination, method, target, headers, body } = outbound
  const { isSecure, authority, host } = destination
  return fetch(`${isSecure ? 'https' : 'http'}://${authority}${target}`, {
    method,
    headers,
    body: isStreamed(body) ? body.stream(() => deadline.touch()) : body,
    redirect: 'manual',
    // Bun would obey HTTP_PROXY and its like, and the checked address would no longer be the one connected to.
    proxy: false,
    // The body passes as it is encoded; Content-Encoding and Content-Length stay true.
    decompress: false,
    keepalive: mayKeepConnection(outbound),
    signal: deadline.signal,
    ...(isSecure && { tls: { serverName: host } }),
  })
}

/** One charge, at most one upstream request, but for a safe method if the operator allows it. */
function mayKeepConnection({ method, resendSafe }: AdmittedOutbound): boolean {
  return SAFE.includes(method) ? resendSafe : !RESENT_BY_BUN.includes(method)
}
