/** A secret is found in whatever spelling, and only a secret. */
import { describe, expect, test } from 'bun:test'
import { hintsAtSecret, holdsSecret, withoutSecret } from '../../src/lib/text/secret-traces.ts'

const SECRET = 'sk-operator/secret+0001=abcd'
const base64 = (text: string) => Buffer.from(text).toString('base64')

const WHOLE: Readonly<Record<string, string>> = {
  plain: SECRET,
  'in a sentence': `no such key: ${SECRET}.`,
  'percent-encoded': encodeURIComponent(SECRET),
  'percent-encoded throughout': SECRET.replace(
    /./g,
    (char) => `%${char.charCodeAt(0).toString(16)}`,
  ),
  'escaped for JSON': SECRET.replaceAll('/', '\\/').replace('k', '\\u006b'),
  'escaped for HTML': SECRET.replace('+', '&#43;').replace('=', '&#x3D;'),
  'in base64': base64(SECRET),
  'in base64 of user and password': base64(`user:${SECRET}`),
  'in base64 behind one character': base64(`x${SECRET}y`),
  'in base64url': Buffer.from(`{"key":"${SECRET}"}`).toString('base64url'),
  'in base64, percent-encoded': encodeURIComponent(base64(`ab${SECRET}`)),
  'in hexadecimal': Buffer.from(SECRET).toString('hex'),
  'in capital hexadecimal': Buffer.from(SECRET).toString('hex').toUpperCase(),
}

const HINTS: Readonly<Record<string, string>> = {
  'with its middle left out': 'Incorrect API key provided: sk-...abcd.',
  'with stars': 'Incorrect API key provided: sk-opera**********abcd. You can find it',
  'with an ellipsis': 'key sk-op…bcd is wrong',
  'with crosses': 'sk-xxxxxxxxxxxxabcd',
  'by its end behind stars': 'the key ****abcd has expired',
  'by its beginning': '{"key":"sk-operator/se***"}',
  'by what it ends with': 'Your key ending in "abcd" was revoked',
}

test('a secret of any length is found in base64, wherever it stands', () => {
  for (let length = 8; length < 40; length++) {
    const secret = `${SECRET}${SECRET}`.slice(0, length)
    for (const before of ['', 'a', 'ab'])
      for (const after of ['', 'y', 'yz'])
        expect(holdsSecret(base64(`${before}${secret}${after}`), secret)).toBe(true)
  }
})

describe('a text that holds the secret', () => {
  for (const [how, text] of Object.entries(WHOLE))
    test(`${how} is recognised, and blanked in its own length`, () => {
      expect(holdsSecret(text, SECRET)).toBe(true)
      const blanked = withoutSecret(text, SECRET)
      expect(blanked).toHaveLength(text.length)
      expect(holdsSecret(blanked ?? '', SECRET)).toBe(false)
      expect(withoutSecret(`before ${text} after ${text}`, SECRET)).toStartWith('before ')
      expect(withoutSecret(`${text} after`, SECRET)).toEndWith(' after')
    })
  for (const [how, text] of Object.entries(HINTS))
    test(`${how} is recognised, and blanked in its own length`, () => {
      expect([hintsAtSecret(text, SECRET), holdsSecret(text, SECRET)]).toEqual([true, false])
      const blanked = withoutSecret(text, SECRET) ?? ''
      expect(blanked).toHaveLength(text.length)
      expect(blanked).not.toMatch(/sk-|bcd/)
    })
})

test('nothing else is taken for it', () => {
  for (const text of [
    '', 'abcd', 'sk-', 'wait...', 'a ** b', 'task-*** failed', '...', '********', 'sk-operator', 'abcdxxxxxxxx',
    'see https://x.test/a%20b?c=%2F', '{"a":"\\u0041"}', base64('something else altogether'), 'ending in tears',
  ]) // biome-ignore format: a list
    expect([text, withoutSecret(text, SECRET), holdsSecret(text, SECRET)]).toEqual([
      text,
      null,
      false,
    ])
  // What is as short as a word may stand anywhere by chance; and who has no secret need not hide one.
  expect([holdsSecret('a short one', 'short'), withoutSecret('short', 'short')]).toEqual([
    false,
    null,
  ])
  expect([holdsSecret('x', null), hintsAtSecret('***', null), withoutSecret('x', null)]).toEqual([
    false,
    false,
    null,
  ])
})

test('a hostile text takes no longer than its length', () => {
  const size = 64 * 1024
  for (const piece of ['*', 'x', '.', '%', '%73', '\\u0073', '&#115;', 'sk-', 'sk-operator/', '****a', 'ending in ', '…a']) {
    const text = piece.repeat(Math.ceil(size / piece.length))
    const startedMs = performance.now()
    withoutSecret(text, SECRET)
    expect([piece, performance.now() - startedMs < 2_000]).toEqual([piece, true])
  } // biome-ignore format: a list
})
