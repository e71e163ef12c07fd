import { afterEach, beforeEach, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import {
  mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync,
} from 'node:fs' // biome-ignore format: a list
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { rotateKeyFile } from '../../src/cli/installation/secret.ts'
import type { Environment } from '../../src/config/environment.ts'
import { loadConfig } from '../../src/config/load.ts'
import { type KeyFile, openSecretKeys } from '../../src/data-dir/secret-key.ts'
import { checkSecretKeys } from '../../src/domain/operator-secrets.ts'

const ADVICE = 'openssl rand -base64 32'
let scratch = ''
let umask = 0

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'quota-proxy-secret-'))
  umask = process.umask(0)
})

afterEach(() => {
  process.umask(umask)
  rmSync(scratch, { recursive: true })
})

const path = () => join(scratch, 'data', 'secret-key')

function open(env: Environment = {}) {
  const loaded = loadConfig({ DATA_DIR: join(scratch, 'data'), ...env })
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
  return openSecretKeys(loaded.config)
}

function fileOf(env?: Environment): KeyFile {
  const { file } = open(env)
  if (!file) throw new Error('the keys are in no file')
  return file
}

function thrownBy(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  throw new Error('nothing was thrown')
}

const hex = (keys: readonly Uint8Array[]) => keys.map((key) => Buffer.from(key).toString('hex'))

test('nothing is made or written until a key is needed', () => {
  const keys = open()
  expect(keys.all()).toEqual([])
  expect(readdirSync(scratch)).toEqual([])
})

test('a key is made at first need, stored for its owner alone, and used again', () => {
  const keys = open()
  const key = keys.create()
  expect(key).toHaveLength(32)
  expect(statSync(path()).mode & 0o777).toBe(0o600)
  expect(readdirSync(join(scratch, 'data'))).toEqual(['secret-key'])
  expect(readFileSync(path(), 'utf8')).toBe(`${Buffer.from(key).toString('base64')}\n`)
  expect(hex(keys.all())).toEqual(hex([key]))
  expect(hex(open().all())).toEqual(hex([key]))
})

test('two installations never get the same key', () => {
  const keys = ['a', 'b', 'c'].map((name) => open({ DATA_DIR: join(scratch, name) }).create())
  expect(new Set(hex(keys)).size).toBe(3)
})

test('a key in base64, base64url or hexadecimal is the same key', () => {
  const bytes = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .filter((all) => new Set(all).size > 16)
  fc.assert(
    fc.property(bytes, (raw) => {
      const url = raw.toBase64({ alphabet: 'base64url', omitPadding: true })
      const texts = [raw.toBase64(), url, `${url}=`, raw.toHex(), raw.toHex().toUpperCase()]
      for (const text of texts)
        expect(checkSecretKeys(` ${text}\r\n`)).toEqual({ ok: true, value: [url] })
    }),
  )
})

test('several keys keep their order, with commas and with lines', () => {
  const keys = [randomBytes(32), randomBytes(32), randomBytes(32)]
  const texts = keys.map((key) => key.toString('base64'))
  const value = keys.map((key) => key.toString('base64url'))
  for (const text of [
    texts.join(','),
    texts.join(' , '),
    texts.join('\n'),
    `${texts.join('\r\n')}\n\n`,
  ])
    expect(checkSecretKeys(text)).toEqual({ ok: true, value })
  const given = open({ SECRET_KEY: texts.join(',') })
  expect(hex(given.all())).toEqual(hex(keys))
  expect(given.file).toBeNull()
  expect(readdirSync(scratch)).toEqual([])
})

test('anything else is refused with the command that makes a key, and is not repeated', () => {
  const good = randomBytes(32).toString('base64')
  const refused = [
    '', ' ', ',', 'changeme', 'A'.repeat(43), '0'.repeat(64), 'changeme'.repeat(8), good.slice(1), `${good}A`,
    randomBytes(16).toString('hex'), randomBytes(31).toString('base64'), randomBytes(33).toString('base64'),
    `${good},`.repeat(2).slice(0, -3), `${good},,${good}`, `,${good}`, `${good} ${good}`, `é${good.slice(2)}`,
  ] // biome-ignore format: a list
  for (const text of refused) {
    const checked = checkSecretKeys(text)
    expect([text, checked.ok]).toEqual([text, false])
    if (checked.ok) continue
    expect(checked.problem).toContain(ADVICE)
    if (text.trim().length > 1) expect(checked.problem).not.toContain(text)
  }
})

test('a file that the operator names is read and never written', () => {
  const key = randomBytes(32)
  const named = join(scratch, 'named')
  writeFileSync(named, `${key.toString('hex')}\n`, { mode: 0o400 })
  const given = open({ SECRET_KEY_FILE: named })
  expect(hex(given.all())).toEqual(hex([key]))
  expect(given.file).toBeNull()
  expect(readdirSync(scratch)).toEqual(['named'])
})

test('a stored key that is damaged stops whoever needs it, and is not replaced', () => {
  mkdirSync(join(scratch, 'data'))
  for (const content of ['', 'canary-canary\n']) {
    writeFileSync(path(), content)
    const message = thrownBy(() => open().all())
    expect(message).toStartWith(`The file ${path()} does not hold a secret key`)
    expect(message).not.toContain('canary')
    expect(readFileSync(path(), 'utf8')).toBe(content)
  }
})

test('a key that cannot be stored is not used, and leaves nothing behind', () => {
  mkdirSync(join(scratch, 'data'))
  mkdirSync(path())
  const keys = open()
  expect(thrownBy(() => keys.create())).toContain(`cannot be stored in ${path()}`)
  expect(readdirSync(join(scratch, 'data'))).toEqual(['secret-key'])
})

/** A rotation that dies at a step: everything must still open with what the file holds. */
for (const step of [
  'before the new key is stored',
  'before anything is sealed',
  'before the old keys go',
]) {
  test(`a rotation that dies ${step} loses nothing, and the next one completes it`, async () => {
    const old = open().create()
    const file = fileOf()
    // Stands for the database: which key its credentials are sealed with.
    let sealedWith = hex([old])[0] ?? 'none'
    const reseal = () => {
      sealedWith = hex(fileOf().read())[0] ?? 'none'
    }
    let writes = 0
    const dying: KeyFile = {
      read: file.read,
      write(keys) {
        writes++
        if (
          step === 'before the new key is stored' ||
          (writes === 2 && step === 'before the old keys go')
        )
          throw new Error('died')
        file.write(keys)
      },
    }
    const failing = async () => {
      if (step === 'before anything is sealed') throw new Error('died')
      reseal()
    }
    await expect(rotateKeyFile(dying, failing)).rejects.toThrow('died')
    expect(hex(file.read())).toContain(sealedWith)

    await rotateKeyFile(file, async () => reseal())
    expect(hex(file.read())).toEqual([sealedWith])
    expect(sealedWith).not.toBe(Buffer.from(old).toString('hex'))
    expect(statSync(path()).mode & 0o777).toBe(0o600)
  })
}
