/** Whether a key may be used at all, and what its holder is told if not. Pure. */
import type { Refusal } from '../errors.ts'

/** The one answer for keys that are unknown, deleted or malformed: nothing tells them apart. */
export const UNKNOWN_KEY: Refusal = {
  code: 'invalid_api_key',
  message: 'This API key is not valid. Check for a typo, or ask whoever gave it to you.',
}

/** Null if the key may be used at `at`. */
export function whyUnusable(
  key: { readonly enabled: boolean; readonly expiresAt: number | null },
  at: number,
): Refusal | null {
  if (!key.enabled) {
    return {
      code: 'api_key_disabled',
      message: 'This API key is disabled. Ask whoever gave it to you.',
    }
  }
  if (key.expiresAt !== null && key.expiresAt <= at) {
    return {
      code: 'api_key_expired',
      message: 'This API key has expired. Ask whoever gave it to you for a new one.',
    }
  }
  return null
}
