/**
 * Logs requests without any secret, body or query: a call when it ends, a request of the admin API
 * when it is answered.
 */

import { CHARGE_ID } from '../domain/call.ts'
import { KEY_ID } from '../domain/key-secret.ts'
import type { Log } from '../lib/log.ts'
import type { CallReport } from '../proxy/call.ts'

/**
 * Every text in the line is our own (an id, a code, an address of the listener), so none needs
 * escaping.
 */
export function logCall(log: Log): (call: CallReport) => void {
  return (call) => {
    const key = call.keyId === null ? 'null' : `"${call.keyId}"`
    const upstream = call.upstream ? `,"upstream":"${call.upstream}"` : ''
    const code = call.code ? `,"code":"${call.code}"` : ''
    log.written(
      `"request_id":"${call.requestId}","ip":"${call.ip}","key_id":${key}${upstream},"outcome":"${call.outcome}"${code},"status":${call.status},"cost":${call.charged.requests},"latency_ms":${Math.round(call.latencyMs)},"bytes_in":${call.bytesIn},"bytes_out":${call.bytesOut}`,
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

/**
 * The path may hold a raw key, where the API takes one; nothing else sees it before it is cut out.
 */
export function logRequest(
  log: Log,
  routes: readonly { readonly path: string }[],
): (request: AnsweredRequest) => void {
  const words = new Set(routes.flatMap(({ path }) => path.split('/')))
  return ({ requestId, ip, method, path, status, latencyMs }) => {
    const line = {
      request_id: requestId,
      ip,
      method,
      path: withoutSecrets(path, words),
      status,
      latency_ms: latencyMs,
    }
    // Probes and scrapes come every few seconds for years.
    if (path === '/healthz' || path === '/readyz' || path === '/metrics') log.debug(line, 'request')
    else log.info(line, 'request')
  }
}

/** No route has more. */
const PARTS_MAX = 8

/** Writes out only ids and the words of our own routes: anything else in a path may be a key. */
function withoutSecrets(path: string, words: ReadonlySet<string>): string {
  const parts = path.split('/', PARTS_MAX)
  return parts
    .map((part) =>
      words.has(part) || KEY_ID.test(part) || CHARGE_ID.test(part) ? part : '(hidden)',
    )
    .join('/')
}
