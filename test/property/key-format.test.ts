/** Keys as text: what every generated one is like, what a typo does to it, and what may be shown of it. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  generateKey,
  generateKeyId,
  hashKey,
  hintOf,
  importProblem,
  isPlausible,
  isPrefix,
} from '../../src/domain/key/secret.ts'

const BASE62 = [...'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz']
const prefixes = fc.stringMatching(/^[a-z][a-z0-9_]{0,14}_$/)
/** Draws a new key for each run; fast-check cannot seed the system's randomness, so a failure prints the key. */
const keys = prefixes.map((prefix) => ({ prefix, key: generateKey(prefix) }))

describe('a generated key', () => {
  test('is its prefix and 36 base62 characters, plausible, and importable elsewhere', () => {
    fc.assert(
      fc.property(keys, ({ prefix, key }) => {
        expect(isPrefix(prefix)).toBe(true)
        expect(key.slice(0, prefix.length)).toBe(prefix)
        expect(key.slice(prefix.length)).toMatch(/^[0-9A-Za-z]{36}$/)
        expect(isPlausible(key)).toBe(true)
        fc.pre(prefix !== 'key_')
        expect(importProblem(key)).toBeNull()
      }),
    )
  })

  test('is told from itself with any one character changed', () => {
    const key = generateKey('trial_')
    for (let at = 'trial_'.length; at < key.length; at++) {
      for (const other of BASE62) {
        if (other === key[at]) continue
        const typo = key.slice(0, at) + other + key.slice(at + 1)
        expect(`${typo} ${isPlausible(typo)}`).toBe(`${typo} false`)
      }
    }
  })

  test('is told from itself with two neighbours swapped', () => {
    fc.assert(
      fc.property(keys, fc.nat({ max: 34 }), ({ prefix, key }, i) => {
        const at = prefix.length + i
        fc.pre(key[at] !== key[at + 1])
        const typo = `${key.slice(0, at)}${key[at + 1]}${key[at]}${key.slice(at + 2)}`
        expect(isPlausible(typo)).toBe(false)
      }),
    )
  })

  test('is never drawn twice, and uses each of the 62 characters at each place', () => {
    const drawn = Array.from({ length: 5_000 }, () => generateKey('t_'))
    expect(new Set(drawn).size).toBe(drawn.length)
    // Of 5,000 draws a fair character is missing at one place with a chance of 10^-35.
    for (let at = 2; at < 32; at++) {
      expect(new Set(drawn.map((key) => key[at])).size).toBe(62)
    }
    const ids = Array.from({ length: 1_000 }, generateKeyId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) expect(id).toMatch(/^key_[0-9A-Za-z]{20}$/)
  })
})

describe('what is shown of a key', () => {
  test('is its prefix, four characters, and the last four', () => {
    fc.assert(
      fc.property(keys, ({ prefix, key }) => {
        const hint = hintOf(key)
        expect(hint).toBe(`${key.slice(0, prefix.length + 4)}…${key.slice(-4)}`)
        // 28 secret characters are not told, and the last four are checksum.
        expect(hint.length).toBe(prefix.length + 9)
      }),
    )
  })

  test('is at most eight characters of one that somebody else has made', () => {
    const foreign = fc.stringMatching(/^[\x21-\x7e]{16,255}$/).filter((key) => !importProblem(key))
    fc.assert(
      fc.property(foreign, (key) => {
        fc.pre(!/^[a-z][a-z0-9_]{0,15}_[0-9A-Za-z]{36}$/.test(key))
        expect(hintOf(key)).toBe(`${key.slice(0, 4)}…${key.slice(-4)}`)
      }),
    )
  })
})

test('a key that may be imported is always looked up, and anything may be asked about', () => {
  const anything = fc.string({ maxLength: 300, unit: 'binary' })
  // Hardly anything else is ever importable, or has the form of a generated key without being one.
  const keyLike = fc.stringMatching(/^[\x21-\x7e]{16,255}$/)
  const generatedLike = fc.stringMatching(/^[a-z]_[0-9A-Za-z]{36}$/)
  let importable = 0
  fc.assert(
    fc.property(fc.oneof(anything, keyLike, generatedLike), (text) => {
      if (importProblem(text) === null) {
        importable++
        expect(isPlausible(text)).toBe(true)
      }
      expect(hashKey(text).byteLength).toBe(32)
    }),
  )
  expect(importable).toBeGreaterThan(10)
})
