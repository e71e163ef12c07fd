/**
 * Who is calling: the API key in the request's headers, never in its URL. Unknown, deleted and malformed keys get one
 * and the same answer.
 */
import type { Refusal } from '../errors.ts'
import { hashKey, isPlausible } from '../modules/keys/secret.ts'
import type { Credential, FindCredential } from '../modules/keys/store.ts'

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
  if (!key)
    return refuse(
      'invalid_api_key',
      'This API key is not valid. Check for a typo, or ask whoever gave it to you.',
    )
  if (!key.enabled)
    return refuse('api_key_disabled', 'This API key is disabled. Ask whoever gave it to you.')
  if (key.expiresAt !== null && key.expiresAt <= at) {
    return refuse(
      'api_key_expired',
      'This API key has expired. Ask whoever gave it to you for a new one.',
    )
  }
  return { ok: true, key, raw }
}

/** The different keys of a request; a repeated header arrives as its values joined by a comma and a space. */
function presentedKeys(headers: Headers): string[] {
  let keys: string[] = []
  for (const name of CREDENTIAL_HEADERS) {
    const value = headers.get(name)
    if (!value) continue
    for (const part of value.split(', ')) {
      const key = name === 'authorization' ? bearer(part) : part.trim()
      if (key !== '' && !keys.includes(key)) keys = [...keys, key]
    }
  }
  return keys
}

/** RFC 6750 section 2.1; the scheme's name is case-insensitive (RFC 9110 section 11.1). */
function bearer(value: string): string {
  return /^bearer +(\S+) *$/i.exec(value)?.[1] ?? ''
}

function refuse(code: Refusal['code'], message: string): Authentication {
  return { ok: false, refusal: { code, message } }
}
