/**
 * Raw keys: how they are made, recognised, hashed and hinted at. The only file that makes one or takes one apart; nothing
 * here or above keeps one longer than the request it came with.
 *
 * A generated key is a prefix, 30 base62 characters from the system's CSPRNG (178 bits) and 6 of CRC32 in base62. The
 * checksum finds typos without a look-up; it proves nothing and nothing is ever granted on it.
 */
import { randomBytes } from 'node:crypto'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_CHARS = 30
const CHECKSUM_CHARS = 6
/** Of each end of a key that a hint shows. */
const HINT_CHARS = 4

const GENERATED = /^[a-z][a-z0-9_]{0,15}_[0-9A-Za-z]{36}$/
/** `key_` and `qpa_` mark ids of keys and generated admin tokens. */
export const PREFIX = /^(?!key_|qpa_)[a-z][a-z0-9_]{0,14}_$/
const ID_PREFIX = 'key_'
/** Visible ASCII without spaces: what any client can put into a header. */
const HEADER_SAFE = /^[\x21-\x7e]{16,255}$/
/** What may be brought along, but for a generated key with a typo in it. */
export const IMPORTABLE = new RegExp(`^(?!${ID_PREFIX})${HEADER_SAFE.source.slice(1)}`)

export function generateKey(prefix: string): string {
  const body = prefix + randomBase62(RANDOM_CHARS)
  return body + checksum(body)
}

export function generateKeyId(): string {
  return `key_${randomBase62(20)}`
}

export const PREFIX_RULE =
  'must be 2 to 16 lower-case letters, digits and _, beginning with a letter but not with key_ or qpa_, and ending with _'

export function isPrefix(text: string): boolean {
  return PREFIX.test(text)
}

/** Null if an existing key may be imported, else what is wrong with it. */
export function importProblem(raw: string): string | null {
  if (!HEADER_SAFE.test(raw)) return 'must be 16 to 255 visible ASCII characters without spaces'
  if (!IMPORTABLE.test(raw)) return 'must not begin with key_, which marks the id of a key'
  if (!isPlausible(raw))
    return 'has the form of a generated key but a wrong checksum; look for a typo'
  return null
}

/** False only for what cannot be a key: refusing it needs no look-up. */
export function isPlausible(raw: string): boolean {
  if (raw.length < 16 || raw.length > 255) return false
  if (!GENERATED.test(raw)) return true
  const body = raw.slice(0, -CHECKSUM_CHARS)
  return checksum(body) === raw.slice(-CHECKSUM_CHARS)
}

/** SHA-256, which is enough for 178 random bits: there is nothing to guess that a slow hash would protect. */
export function hashKey(raw: string): Buffer {
  return Buffer.from(Bun.SHA256.hash(raw).buffer)
}

/** What may be shown of a key: `trial_Ab3d…x9Zk`. */
export function hintOf(raw: string): string {
  const start = GENERATED.test(raw) ? raw.length - RANDOM_CHARS - CHECKSUM_CHARS : 0
  return `${raw.slice(0, start + HINT_CHARS)}…${raw.slice(-HINT_CHARS)}`
}

/** What a generated key begins with, read off its hint; null of one that was brought along. */
export function prefixOf(hint: string): string | null {
  const prefix = hint.slice(0, hint.indexOf('…') - HINT_CHARS)
  return isPrefix(prefix) ? prefix : null
}

function checksum(body: string): string {
  let value = Bun.hash.crc32(body)
  let text = ''
  for (let i = 0; i < CHECKSUM_CHARS; i++) {
    text = BASE62.charAt(value % 62) + text
    value = Math.floor(value / 62)
  }
  return text
}

function randomBase62(length: number): string {
  let text = ''
  while (text.length < length) {
    for (const byte of randomBytes(length)) {
      // 248 is the largest multiple of 62 in a byte; what lies above would favour the first characters.
      if (byte < 248 && text.length < length) text += BASE62.charAt(byte % 62)
    }
  }
  return text
}
