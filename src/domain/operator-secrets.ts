/**
 * What the secrets that an operator gives must be: the admin token, and the keys that seal stored
 * credentials. No weak secret passes, wherever it came from.
 */
import { KEY_BYTES } from '../lib/seal.ts'
import { invalid, type Parsed, valid } from '../lib/text/parsed.ts'

export const TOKEN_ADVICE = 'Make one with: openssl rand -hex 32'

/** Sixteen characters of hexadecimal are 64 bits, far out of reach of guesses over a network. */
const TOKEN_LENGTH_MIN = 16

/**
 * Random hexadecimal of the shortest length has fewer different characters once in a million times.
 */
const TOKEN_DIFFERENT_MIN = 5

/**
 * A token of nothing but such words was copied from an example. No word begins another, so that
 * matching stays linear.
 */
const PLACEHOLDER =
  /^(?:admin|api|change|default|example|here|key|me|my|pass|phrase|please|proxy|quota|random|replace|secret|secure|strong|super|test|this|token|value|with|word|your)+\d*$/

const SEQUENCES = '01234567890123456789 0123456789abcdef abcdefghijklmnopqrstuvwxyz'

/** 32 random bytes with fewer different ones come once in 10^15 times; typed texts have fewer. */
const KEY_DIFFERENT_MIN = 16

const KEYS_RULE =
  'must be 32 random bytes as base64 or hexadecimal; several are separated by commas or lines, the current one first. Make one with: openssl rand -base64 32'

/** Returns the token without white space around it. */
export function checkAdminToken(text: string): Parsed<string> {
  const token = text.trim()
  const plain = token.toLowerCase().replace(/[^a-z0-9]/g, '')
  if (!/^[\x21-\x7e]*$/.test(token)) {
    return weak('must be visible ASCII characters without white space')
  }
  if (PLACEHOLDER.test(plain)) return weak('is a placeholder from an example')
  if (token.length < TOKEN_LENGTH_MIN) {
    return weak(`must have at least ${TOKEN_LENGTH_MIN} characters`)
  }
  if (new Set(token).size < TOKEN_DIFFERENT_MIN || SEQUENCES.includes(plain)) {
    return weak('is too easy to guess')
  }
  return valid(token)
}

/** Returns the keys as base64url, the current one first. */
export function checkSecretKeys(text: string): Parsed<readonly string[]> {
  const keys = text.split(/[,\n]/).map((line) => decodeKey(line.trim()))
  while (keys.at(-1) === 'empty') keys.pop()
  const good = keys.filter((key) => key instanceof Buffer)
  return good.length > 0 && good.length === keys.length
    ? valid(good.map((key) => key.toString('base64url')))
    : invalid(KEYS_RULE)
}

function decodeKey(text: string): Buffer | 'empty' | 'wrong' {
  if (text === '') return 'empty'
  const isHex = /^[0-9a-f]{64}$/i.test(text)
  if (!isHex && !/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return 'wrong'
  const key = Buffer.from(text, isHex ? 'hex' : 'base64')
  return key.length === KEY_BYTES && new Set(key).size >= KEY_DIFFERENT_MIN ? key : 'wrong'
}

function weak(what: string): Parsed<never> {
  return invalid(`${what}. ${TOKEN_ADVICE}`)
}
