/**
 * What is logged of a request: never a secret, never a body, never a query. Calls are logged when they end; requests of
 * the admin API when they are answered.
 */
import type { Log } from '../lib/log.ts'
import type { CallReport } from '../proxy/call.ts'

export function logCall(log: Log): (call: CallReport) => void {
  return ({ requestId, ip, keyId, outcome, code, status, cost, latencyMs, bytesIn, bytesOut }) => {
    log.info(
      {
        request_id: requestId,
        ip,
        key_id: keyId,
        outcome,
        ...(code && { code }),
        status,
        cost,
        latency_ms: latencyMs,
        bytes_in: bytesIn,
        bytes_out: bytesOut,
      },
      'call',
    )
  }
}

export type AnsweredRequest = {
  readonly requestId: string
  readonly ip: string
  readonly method: string
  readonly path: string
  readonly status: number
  readonly latencyMs: number
}

/** A raw key may stand in the path, where the API takes one; it is cut out before anything else sees the line. */
export function logRequest(log: Log): (request: AnsweredRequest) => void {
  return ({ requestId, ip, method, path, status, latencyMs }) => {
    const line = {
      request_id: requestId,
      ip,
      method,
      path: withoutKey(path),
      status,
      latency_ms: latencyMs,
    }
    // Probes come every few seconds for years.
    if (path === '/healthz' || path === '/readyz') log.debug(line, 'request')
    else log.info(line, 'request')
  }
}

/** Only what cannot be a key is written out: ids and our own words. */
function withoutKey(path: string): string {
  const [, plane, noun, key, ...rest] = path.split('/')
  if (plane !== 'admin') return path.length <= 200 && /^\/[a-z./-]*$/.test(path) ? path : '(other)'
  const shown = key === undefined || /^key_[0-9A-Za-z]{20}$/.test(key) ? key : '(key)'
  const words = [plane, noun, shown, ...rest].filter((part) => part !== undefined)
  return words.every((word) => word.length <= 64) &&
    rest.every((word) => /^[a-z]*$/.test(word)) &&
    /^[a-z]*$/.test(noun ?? '')
    ? `/${words.join('/')}`
    : '/admin/(other)'
}
