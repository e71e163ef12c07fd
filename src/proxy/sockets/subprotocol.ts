/**
 * The names of sub-protocols that a client offers for its WebSocket (RFC 6455 section 11.3.4). A browser can set no header
 * of a handshake, so its key may stand among them. No credential there is ever passed on to an upstream that has one of its
 * own, nor said back.
 */
import { TOKEN_CHAR } from '../../lib/http-syntax.ts'
import type { Fields } from '../headers/fields.ts'
import { isUpgrade } from './upgrade.ts'

/** Ours, and the one that OpenAI documents for browsers. */
const OWN_PREFIX = 'quota-proxy-key.'
const OPENAI_PREFIX = 'openai-insecure-api-key.'

const TOKEN = new RegExp(`^${TOKEN_CHAR}+$`)

/** What may be keys among the sub-protocols of a handshake; nothing for any other request. */
export function keysInProtocols(fields: Fields): string[] {
  const list = fields['sec-websocket-protocol']
  if (list === undefined || !isUpgrade('GET', fields)) return []
  return namesIn(list)
    .flatMap((name) => [keyAfter(OWN_PREFIX, name), keyAfter(OPENAI_PREFIX, name)])
    .filter((key) => key !== '')
}

/**
 * What the upstream is offered. A list may hold only different tokens, and the platform sends no other. `hasCredential` says
 * whether the upstream is called with a credential of the operator, beside which no other may stand.
 */
export function offeredProtocols(fields: Fields, raw: string, hasCredential: boolean): string[] {
  const names = new Set(namesIn(fields['sec-websocket-protocol'] ?? ''))
  return [...names].filter(
    (name) =>
      TOKEN.test(name) &&
      !name.includes(raw) &&
      !name.startsWith(OWN_PREFIX) &&
      !(hasCredential && name.startsWith(OPENAI_PREFIX)),
  )
}

function namesIn(list: string): string[] {
  return list.split(',').map((name) => name.trim())
}

function keyAfter(prefix: string, name: string): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : ''
}
