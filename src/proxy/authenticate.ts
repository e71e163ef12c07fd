/**
 * Who is calling: the API key in the request's headers, never in its URL. Unknown, deleted and malformed keys get one
 * and the same answer.
 */
import type { Refusal } from '../errors.ts'
import { bearer } from '../lib/bearer.ts'
import { hashKey, isPlausible } from '../modules/keys/secret.ts'
import type { Credential, FindCredential } from '../modules/keys/store.ts'
import { UNKNOWN_KEY, whyUnusable } from '../quota/usable.ts'

/** Where SDKs put keys: ours, OpenAI's, Azure's, Google's. All of them are removed before a call is forwarded. */
export const CREDENTIAL_HEADERS = [
  'x-api-key',
  'authorization',
  'api-key',
  'x-goog-api-key',
] as const

export type Authentication =
  | { readonly ok: true; readonly key: Credential; readonly raw: string }
  | { readonly ok: false; readonly refusal: Refusal }

/** Throws only if the store fails. */
export function authenticate(headers: Headers, find: FindCredential, at: number): Authentication {
  const presented = presentedKeys(headers)
  const raw = presented[0]
  if (raw === undefined)
    return refuse(
      'missing_api_key',
      'Send your key as "X-API-Key: <key>" or "Authorization: Bearer <key>".',
    )
  if (presented.length > 1) {
    return refuse('ambiguous_api_key', 'The request carries two different keys. Send exactly one.')
  }
  const key = isPlausible(raw) ? find(hashKey(raw)) : null
  if (!key) return { ok: false, refusal: UNKNOWN_KEY }
  // Here only to say no early: the charge asks again, of the store itself.
  const refusal = whyUnusable(key, at)
  return refusal ? { ok: false, refusal } : { ok: true, key, raw }
}

/** The different keys of a request; a repeated header arrives as its values joined by a comma and a space. */
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
