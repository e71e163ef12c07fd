/**
 * Who is calling: the API key in the request's headers, never in its URL; in a handshake also among the sub-protocols. Unknown, deleted and malformed keys get one
 * and the same answer. What stands beside a key and is no key of ours is the client's own business with the upstream.
 */

import { isPlausible } from '../domain/key/secret.ts'
import { type Credential, UNKNOWN_KEY, whyUnusable } from '../domain/key.ts'
import type { Refusal } from '../errors.ts'
import { bearer } from '../lib/http-syntax.ts'
import type { Fields } from './headers/fields.ts'
import type { KeyMemory } from './key-memory.ts'
import { keysInProtocols } from './sockets/subprotocol.ts'

/** Where SDKs put keys: ours, OpenAI's, Azure's, Google's. */
export const CREDENTIAL_HEADERS = [
  'x-api-key',
  'authorization',
  'api-key',
  'x-goog-api-key',
] as const

/** One for each header is usual. Each takes a look-up, so a request may not hold as many as it likes. */
const PRESENTED_MAX = 8

export type Authentication =
  | {
      readonly ok: true
      readonly key: Credential
      readonly raw: string
      /** Whether `key` may be out of date: then nothing may be refused for what it says. */
      readonly isRemembered: boolean
    }
  | { readonly ok: false; readonly refusal: Refusal }

/** By memory if that lets the call go on, else by the store. */
export function authenticate(
  fields: Fields,
  keys: KeyMemory,
  at: number,
): Authentication | Promise<Authentication> {
  const presented = presentedKeys(fields)
  const [raw, other] = presented
  const key = raw !== undefined && other === undefined ? keys.recall(raw) : null
  return raw !== undefined && key !== null && whyUnusable(key, at) === null
    ? { ok: true, key, raw, isRemembered: true }
    : readCaller(presented, keys, at)
}

/** By the store alone. Rejects if the store fails. */
export function authenticateAnew(
  fields: Fields,
  keys: KeyMemory,
  at: number,
): Promise<Authentication> {
  return readCaller(presentedKeys(fields), keys, at)
}

async function readCaller(
  presented: readonly string[],
  keys: KeyMemory,
  at: number,
): Promise<Authentication> {
  if (presented.length === 0) return refuse('missing_api_key', SEND_ONE_AS)
  if (presented.length > PRESENTED_MAX) return refuse('ambiguous_api_key', SEND_ONE)
  const found: { readonly key: Credential; readonly raw: string }[] = []
  for (const raw of presented) {
    // A key that was brought along may look like anything: only the store can tell it from a token of somebody else's.
    const key = isPlausible(raw) ? await keys.read(raw) : null
    if (key) found.push({ key, raw })
  }
  const [caller, other] = found
  if (!caller) return { ok: false, refusal: UNKNOWN_KEY }
  if (other) return refuse('ambiguous_api_key', SEND_ONE)
  // Here only to say no early: the charge asks again, of the store itself.
  const refusal = whyUnusable(caller.key, at)
  return refusal ? { ok: false, refusal } : { ok: true, ...caller, isRemembered: false }
}

const SEND_ONE_AS = 'Send your key as "X-API-Key: <key>" or "Authorization: Bearer <key>".'
const SEND_ONE = 'The request carries two different keys. Send exactly one.'

/** The different values of a request that may be keys; a repeated header arrives as its values joined by a comma and a space. */
function presentedKeys(fields: Fields): string[] {
  const keys: string[] = []
  for (const name of CREDENTIAL_HEADERS) {
    const value = fields[name]
    if (!value) continue
    for (const part of value.split(', ')) {
      const key = name === 'authorization' ? bearer(part) : part.trim()
      if (key && !keys.includes(key)) keys.push(key)
    }
  }
  for (const key of keysInProtocols(fields)) if (!keys.includes(key)) keys.push(key)
  return keys
}

function refuse(code: Refusal['code'], message: string): Authentication {
  return { ok: false, refusal: { code, message } }
}
