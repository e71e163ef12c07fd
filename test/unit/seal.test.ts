import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { createSealer, type Keys, keyId } from '../../src/lib/seal.ts'

const KEY = randomBytes(32)
const OTHER = randomBytes(32)
const PLACE = 'upstreams.credential:openai'

function withKeys(...all: Uint8Array[]): Keys {
  return {
    all: () => all,
    create() {
      throw new Error('a key was made although there is one')
    },
  }
}

const sealer = createSealer(withKeys(KEY))
const text = fc.string({ unit: 'binary' }).filter((one) => one.isWellFormed())

function reasonOf(sealed: string, place = PLACE, keys = withKeys(KEY)): string {
  const opened = createSealer(keys).open(sealed, place)
  return opened.ok ? 'opened' : opened.reason
}

test('what was sealed is opened at its place, whatever it is', () => {
  fc.assert(
    fc.property(text, text, (secret, place) => {
      const sealed = sealer.seal(secret, place)
      expect(sealed).toMatch(/^v1\.[0-9a-f]{8}\.[A-Za-z0-9_-]+$/)
      expect(sealer.open(sealed, place)).toEqual({ ok: true, text: secret })
    }),
  )
})

test('a sealed text names its key and holds nothing of the secret', () => {
  const sealed = sealer.seal('sk-canary-canary-canary', PLACE)
  expect(sealed).toStartWith(`v1.${keyId(KEY)}.`)
  const bytes = Buffer.from(sealed.split('.')[2] ?? '', 'base64url')
  expect(bytes.includes('canary')).toBe(false)
  expect(sealed).not.toContain('canary')
})

test('no nonce is used twice', () => {
  const nonces = Array.from({ length: 20_000 }, () => {
    const body = sealer.seal('', PLACE).split('.')[2] ?? ''
    return body.slice(0, 16)
  })
  expect(new Set(nonces).size).toBe(nonces.length)
})

test('a sealed text that was moved to another place is not opened', () => {
  const sealed = sealer.seal('secret', PLACE)
  for (const place of ['upstreams.credential:other', 'upstreams.name:openai', '', `${PLACE} `])
    expect(reasonOf(sealed, place)).toBe('damaged')
})

test('a sealed text in which one bit was changed is not opened', () => {
  const [version = '', id = '', body = ''] = sealer.seal('secret', PLACE).split('.')
  const bytes = Buffer.from(body, 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    expect(reasonOf(`${version}.${id}.${changed.toString('base64url')}`)).toBe('damaged')
  }
})

test('a text that was cut short, or was never sealed, is not opened', () => {
  const sealed = sealer.seal('secret', PLACE)
  for (let length = 0; length < sealed.length - 1; length++)
    expect(reasonOf(sealed.slice(0, length))).toBeOneOf(['malformed', 'damaged'])
  for (const wrong of ['', 'secret', sealed.replace('v1', 'v2'), ` ${sealed}`, `${sealed}\n`])
    expect(reasonOf(wrong)).toBe('malformed')
})

test('the right one of several keys is found, and the first one seals', () => {
  const old = sealer.seal('secret', PLACE)
  const both = createSealer(withKeys(OTHER, KEY))
  expect(both.open(old, PLACE)).toEqual({ ok: true, text: 'secret' })
  expect(both.seal('secret', PLACE)).toStartWith(`v1.${keyId(OTHER)}.`)
})

test('a wrong key opens nothing, even under the name of the right one', () => {
  const sealed = sealer.seal('secret', PLACE)
  expect(reasonOf(sealed, PLACE, withKeys(OTHER))).toBe('unknown_key')
  expect(reasonOf(sealed, PLACE, withKeys())).toBe('unknown_key')
  const renamed = sealed.replace(keyId(KEY), keyId(OTHER))
  expect(reasonOf(renamed, PLACE, withKeys(OTHER))).toBe('damaged')
})

test('what cannot be opened is said in a sentence with what to do, and without the text', () => {
  const sealed = sealer.seal('secret', PLACE)
  const wrong = [sealed.slice(0, -3), sealed.slice(0, 20), sealed.replace(keyId(KEY), '00000000')]
  for (const one of wrong) {
    const opened = sealer.open(one, PLACE)
    if (opened.ok) throw new Error('it was opened')
    expect(opened.message).toMatch(/(Restore|Put that key back)/)
    expect(opened.message).not.toContain('secret"')
    expect(opened.message).not.toContain(one.split('.')[2] ?? one)
  }
})

test('a key is made when something is to be sealed and there is none, and not to open', () => {
  const made: Uint8Array[] = []
  const fresh = createSealer({
    all: () => made,
    create() {
      made.push(OTHER)
      return OTHER
    },
  })
  expect(fresh.open(sealer.seal('secret', PLACE), PLACE)).toMatchObject({ reason: 'unknown_key' })
  expect(made).toEqual([])
  const sealed = fresh.seal('secret', PLACE)
  expect(made).toHaveLength(1)
  expect(fresh.open(sealed, PLACE)).toEqual({ ok: true, text: 'secret' })
})
