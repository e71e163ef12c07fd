/**
 * Who is calling: the API key in the request's headers, never in its URL. Unknown, deleted and malformed keys get one
 * and the same answer. What stands beside a key and is no key of ours is the client's own business with the upstream.
 */

import type { Credential, FindCredential } from '../domain/key.ts'
import { UNKNOWN_KEY, whyUnusable } from '../domain/key.ts'
import { hashKey, isPlausible } from '../domain/key-secret.ts'
import type { Refusal } from '../errors.ts'
import { bearer } from '../lib/http-syntax.ts'

/** Where SDKs put keys: ours, OpenAI's, Azure's, Google's. */
export const CREDENTIAL_HEADERS = [
  'x-api-key',
  'authorization',
  'api-key',
  'x-goog-api-key',
] as const

/** One for each header is usual. Each takes a look-up, so that a request may not hold as many as it likes. */
const PRESENTED_MAX = 8

export type Authentication =
  | { readonly ok: true; readonly key: Credential; readonly raw: string }
  | { readonly ok: false; readonly refusal: Refusal }

/** Throws only if the store fails. */
export function authenticate(headers: Headers, find: FindCredential, at: number): Authentication {
  const presented = presentedKeys(headers)
  if (presented.length === 0)
    return refuse(
      'missing_api_key',
      'Send your key as "X-API-Key: <key>" or "Authorization: Bearer <key>".',
    )
  if (presented.length > PRESENTED_MAX) return refuse('ambiguous_api_key', SEND_ONE)
  // A key that was brought along may look like anything: only the store can tell it from a token of somebody else's.
  const known = presented.flatMap((raw) => {
    const key = isPlausible(raw) ? find(hashKey(raw)) : null
    return key ? [{ key, raw }] : []
  })
  const [found, other] = known
  if (!found) return { ok: false, refusal: UNKNOWN_KEY }
  if (other) return refuse('ambiguous_api_key', SEND_ONE)
  // Here only to say no early: the charge asks again, of the store itself.
  const refusal = whyUnusable(found.key, at)
  return refusal ? { ok: false, refusal } : { ok: true, ...found }
}

const SEND_ONE = 'The request carries two different keys. Send exactly one.'

/** The different values of a request that may be keys; a repeated header arrives as its values joined by a comma and a space. */
function presentedKeys(headers: Headers): string[] {
  const keys: string[] = []
  for (const name of CREDENTIAL_HEADERS) {
    const value = headers.get(name)
    if (!value) continue
    for (const part of value.split(', ')) {
      const key = name === 'authorization' ? bearer(part) : part.trim()
      if (key && !keys.includes(key)) keys.push(key)
    }
  }
  return keys
}

function refuse(code: Refusal['code'], message: string): Authentication {
  return { ok: false, refusal: { code, message } }
}
