/**
 * Logs requests without any secret, body or query: a call when it ends, a request of the admin API
 * when it is answered.
 */

import { CHARGE_ID } from '../domain/call.ts'
import { KEY_ID } from '../domain/key/secret.ts'
import type { Log } from '../lib/log.ts'
import { remember } from '../lib/remember.ts'
import { millionths } from '../lib/text/decimal.ts'
import type { CallReport } from '../proxy/call.ts'

/** For programs as JSON, for people as one line. */
export function logCall(log: Log): (call: CallReport) => void {
  return log.isReadable ? sayCall(log) : writeCall(log)
}

/**
 * All but the model and the method is our own (an id, a code, an address of the listener), and needs no
 * escaping. A method is a token (RFC 9110 section 9.1), which needs none either.
 */
function writeCall(log: Log): (call: CallReport) => void {
  return (call) => {
    const { requests, tokens, cost } = call.charged
    const model = call.model === null ? 'null' : modelJson(call.model)
    const key = call.keyId === null ? 'null' : `"${call.keyId}"`
    const upstream = call.upstream ? `,"upstream":"${call.upstream}"` : ''
    const code = call.code ? `,"code":"${call.code}"` : ''
    log.written(
      `"request_id":"${call.requestId}","ip":"${call.ip}","key_id":${key}${upstream},"outcome":"${call.outcome}"${code},"status":${call.status},"method":"${call.method}","model":${model},"cost":${requests},"tokens":${tokens},"cost_micros":${cost},"latency_ms":${Math.round(call.latencyMs)},"bytes_in":${call.bytesIn},"bytes_out":${call.bytesOut}`,
      'call',
    )
  }
}

function sayCall(log: Log): (call: CallReport) => void {
  return (call) => {
    const { tokens, cost } = call.charged
    const key = printed(call.keyName || call.keyId || 'no key')
    const code = call.code ? ` ${call.code}` : ''
    const model = call.model === null ? '' : ` ${printed(call.model)}`
    log.said(
      `${key} ${call.method} ${printed(call.path)}${model} ${call.status}${code} cost ${millionths(cost)} ${tokens} tokens ${Math.round(call.latencyMs)} ms`,
    )
  }
}

/** Nobody reads more of a name, a path or a model. */
const TEXT_CHARS_MAX = 80

/** What may be a credential: ours, or anything as long that no word is. */
const LIKE_SECRET =
  /[a-z][a-z0-9_]{0,15}_[0-9A-Za-z]{36}|(?<![0-9A-Za-z])(?=[A-Za-z]*[0-9])[0-9A-Za-z]{16,}/g

/** What a terminal obeys, does not show, or shows in another order. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu

/** A text of somebody else's: one line, and no secret in it. */
function printed(text: string): string {
  return shortened(text).replace(UNPRINTABLE, '\ufffd')
}

/** Hidden before it is cut: a part of a secret is not known for one. */
function shortened(text: string): string {
  const plain = text.slice(0, TEXT_CHARS_MAX * 8).replace(LIKE_SECRET, '…')
  return plain.length > TEXT_CHARS_MAX ? `${plain.slice(0, TEXT_CHARS_MAX)}…` : plain
}

/** Models are few. */
const MODELS_MAX = 1000

const remembered = remember(asJson, MODELS_MAX)

/** Who names a model may write megabytes: those are not kept. */
function modelJson(model: string): string {
  return model.length > TEXT_CHARS_MAX ? asJson(model) : remembered(model)
}

/** In ASCII, as the log wants it. */
function asJson(text: string): string {
  return JSON.stringify(shortened(text)).replace(
    /[^ -~]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
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
