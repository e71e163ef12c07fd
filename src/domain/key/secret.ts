/**
 * Makes, recognises, hashes and hints at raw keys. No other file makes one or takes one apart, and
 * nothing keeps one for longer than the request that brought it.
 *
 * A generated key is a prefix, 30 base62 characters from the system's CSPRNG (178 bits) and 6 of
 * CRC32 in base62. The checksum finds typos without a look-up. It proves nothing, and nothing is
 * ever granted on it.
 */
import { randomBytes } from 'node:crypto'
import type { KeyRef } from '../key.ts'

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_CHARS = 30
const CHECKSUM_CHARS = 6
/** How much of each end of a key its hint shows. */
const HINT_CHARS = 4

const GENERATED = /^[a-z][a-z0-9_]{0,15}_[0-9A-Za-z]{36}$/
/** Begins the id of every key, and no raw key. */
const ID_PREFIX = 'key_'
const ID_RANDOM_CHARS = 20
export const KEY_ID = new RegExp(`^${ID_PREFIX}[0-9A-Za-z]{${ID_RANDOM_CHARS}}$`)

/** `qpa_` begins generated admin tokens. */
export const PREFIX = new RegExp(`^(?!${ID_PREFIX}|qpa_)[a-z][a-z0-9_]{0,14}_$`)
export const PREFIX_RULE = `must be 2 to 16 lower-case letters, digits and _, beginning with a letter but not with ${ID_PREFIX} or qpa_, and ending with _`

const KEY_CHARS_MIN = 16
export const KEY_CHARS_MAX = 255
/** Visible ASCII without spaces, which any client can put into a header. */
const HEADER_SAFE = new RegExp(`^[\\x21-\\x7e]{${KEY_CHARS_MIN},${KEY_CHARS_MAX}}$`)
/** An existing key that may be imported. No pattern tells a generated key that has a typo. */
export const IMPORTABLE = new RegExp(`^(?!${ID_PREFIX})${HEADER_SAFE.source.slice(1)}`)

export function generateKey(prefix: string): string {
  const body = prefix + randomBase62(RANDOM_CHARS)
  return body + checksum(body)
}

export function generateKeyId(): string {
  return `${ID_PREFIX}${randomBase62(ID_RANDOM_CHARS)}`
}

/** The key that a request names, by its id or by the whole key. */
export function refOf(idOrKey: string): KeyRef {
  return idOrKey.startsWith(ID_PREFIX) ? { id: idOrKey } : { hash: hashKey(idOrKey) }
}

export function isPrefix(text: string): boolean {
  return PREFIX.test(text)
}

/** What is wrong with an existing key that is to be imported; null if nothing is. */
export function importProblem(raw: string): string | null {
  if (!HEADER_SAFE.test(raw))
    return `must be ${KEY_CHARS_MIN} to ${KEY_CHARS_MAX} visible ASCII characters without spaces`
  if (!IMPORTABLE.test(raw)) return `must not begin with ${ID_PREFIX}, which marks the id of a key`
  if (!isPlausible(raw))
    return 'has the form of a generated key but a wrong checksum; look for a typo'
  return null
}

/** False only if the text cannot be a key, so that refusing it needs no look-up. */
export function isPlausible(raw: string): boolean {
  if (raw.length < KEY_CHARS_MIN || raw.length > KEY_CHARS_MAX) return false
  if (!GENERATED.test(raw)) return true
  const body = raw.slice(0, -CHECKSUM_CHARS)
  return checksum(body) === raw.slice(-CHECKSUM_CHARS)
}

/** SHA-256 is enough: 178 random bits cannot be guessed, so a slow hash would protect nothing. */
export function hashKey(raw: string): Buffer {
  return Buffer.from(Bun.SHA256.hash(raw).buffer)
}

/** As much of a key as may be shown: `trial_Ab3d…x9Zk`. */
export function hintOf(raw: string): string {
  const start = GENERATED.test(raw) ? raw.length - RANDOM_CHARS - CHECKSUM_CHARS : 0
  return `${raw.slice(0, start + HINT_CHARS)}…${raw.slice(-HINT_CHARS)}`
}

/** The prefix of a generated key, read off its hint; null if the key was imported. */
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
      // 248 is the largest multiple of 62 in a byte; values above it would favour the first
      // letters.
      if (byte < 248 && text.length < length) text += BASE62.charAt(byte % 62)
    }
  }
  return text
}
