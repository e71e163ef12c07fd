/**
 * Remembers what a key is, by the hash of its secret, so that a call need not read it from the store. Memory may only let a
 * call go on to the charge, which checks the revision of the key in the store. It never refuses a call, and it never says
 * what is left: whoever meets a refusal with a remembered key reads the key again first.
 */

import { hashKey } from '../domain/key/secret.ts'
import type { Credential, FindCredential } from '../domain/key.ts'

export type KeyMemory = {
  /** What is remembered of the key with this secret; null if nothing is. */
  recall(raw: string): Credential | null
  /** Reads the key from the store and remembers it. Rejects if the store fails. */
  read(raw: string): Promise<Credential | null>
}

/** About 300 bytes each, and the name. Past it the one that was read longest ago is forgotten, and read again when it calls. */
const KEYS_MAX = 131_072

export function createKeyMemory(find: FindCredential, keysMax = KEYS_MAX): KeyMemory {
  const keys = new Map<string, Credential>()

  function remember(name: string, key: Credential | null): void {
    keys.delete(name)
    if (!key) return
    const oldest = keys.size < keysMax ? undefined : keys.keys().next().value
    if (oldest !== undefined) keys.delete(oldest)
    keys.set(name, key)
  }

  return {
    recall: (raw) => keys.get(nameOf(hashKey(raw))) ?? null,
    async read(raw) {
      const hash = hashKey(raw)
      const key = await find(hash)
      remember(nameOf(hash), key)
      return key
    },
  }
}

function nameOf(hash: Buffer): string {
  return hash.toString('latin1')
}
