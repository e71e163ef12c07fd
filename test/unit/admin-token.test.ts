import { afterEach, beforeEach, expect, test } from 'bun:test'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { type Environment, loadConfig } from '../../src/config/load.ts'
import { checkAdminToken, openAdminToken } from '../../src/data-dir/admin-token.ts'
import { openDataDir } from '../../src/data-dir/directory.ts'

const TOKEN = '7f3c9a1e5b2d8064c7f3'
let scratch = ''
let umask = 0

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'quota-proxy-token-'))
  umask = process.umask(0)
})

afterEach(() => {
  process.umask(umask)
  rmSync(scratch, { recursive: true })
})

function open(env: Environment = {}) {
  const loaded = loadConfig({ DATA_DIR: join(scratch, 'data'), ...env })
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'))
  return openAdminToken({ config: loaded.config })
}

function mode(path: string): number {
  return statSync(path).mode & 0o777
}

function thrownBy(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
  throw new Error('nothing was thrown')
}

test('a token from the environment is used, and nothing is written', () => {
  expect(open({ ADMIN_TOKEN: TOKEN })).toEqual({ token: TOKEN, source: 'env' })
  expect(readdirSync(scratch)).toEqual([])
})

test('a token from a file is used without its line end, and nothing is written', () => {
  const path = join(scratch, 'secret')
  writeFileSync(path, `${TOKEN}\r\n`)
  expect(open({ ADMIN_TOKEN_FILE: path })).toEqual({ token: TOKEN, source: 'file', path })
  expect(readdirSync(scratch)).toEqual(['secret'])
})

test('without a token one is made, stored for its owner alone, and used again', () => {
  const path = join(scratch, 'data', 'admin-token')
  const first = open()
  expect(first).toEqual({ token: first.token, source: 'generated', path })
  expect(first.token).toMatch(/^qpa_[A-Za-z0-9_-]{43}$/)
  expect(mode(path)).toBe(0o600)
  expect(mode(join(scratch, 'data'))).toBe(0o700)
  expect(readFileSync(path, 'utf8')).toBe(`${first.token}\n`)
  expect(readdirSync(join(scratch, 'data'))).toEqual(['admin-token'])

  expect(open()).toEqual({ token: first.token, source: 'stored', path })
})

test('two installations never get the same token', () => {
  const tokens = ['a', 'b', 'c'].map((name) => open({ DATA_DIR: join(scratch, name) }).token)
  expect(new Set(tokens).size).toBe(3)
})

test('a token that the operator gives wins over the stored one and leaves it alone', () => {
  const stored = open().token
  expect(open({ ADMIN_TOKEN: TOKEN }).token).toBe(TOKEN)
  expect(open().token).toBe(stored)
})

test('a stored token that is weak, empty or unreadable stops the start and is not replaced', () => {
  mkdirSync(join(scratch, 'data'))
  const path = join(scratch, 'data', 'admin-token')
  for (const content of ['', 'changeme-please\n']) {
    writeFileSync(path, content)
    const message = thrownBy(() => open())
    expect(message).toStartWith(`The token in ${path} (delete the file to get a new one) `)
    expect(message).not.toContain('changeme-please')
    expect(readFileSync(path, 'utf8')).toBe(content)
  }
  rmSync(path)
  mkdirSync(path)
  expect(thrownBy(() => open())).toBe(`The admin token in ${path} cannot be read (EISDIR).`)
})

test('a weak token is refused even when it was not read by loadConfig', () => {
  const loaded = loadConfig({})
  if (!loaded.ok) throw new Error('the empty environment is valid')
  const message = thrownBy(() =>
    openAdminToken({ config: { ...loaded.config, adminToken: 'changeme' } }),
  )
  expect(message).toStartWith('ADMIN_TOKEN is a placeholder from an example.')
})

test('a data directory that cannot be made is one sentence with what to do', () => {
  const path = join(scratch, 'file')
  writeFileSync(path, '')
  expect(thrownBy(() => openDataDir(path))).toBe(
    `The data directory ${path} cannot be used (EEXIST). Set DATA_DIR to a directory that this user may write to.`,
  )
  expect(thrownBy(() => openDataDir(join(path, 'below')))).toContain('(ENOTDIR)')
})

test('a data directory that others may enter is left as it is, with a warning', () => {
  const path = join(scratch, 'open')
  mkdirSync(path)
  for (const bits of [0o750, 0o701, 0o777]) {
    chmodSync(path, bits)
    expect(openDataDir(path).warning).toContain(`chmod 700 ${path}`)
    expect(mode(path)).toBe(bits)
  }
})

test('a data directory of its owner alone gives no warning', () => {
  const path = join(scratch, 'a', 'b')
  expect(openDataDir(path)).toEqual({})
  expect(openDataDir(path)).toEqual({})
  expect([mode(join(scratch, 'a')), mode(path)]).toEqual([0o700, 0o700])
})

const PLACEHOLDERS = [
  'your-secure-admin-token-here',
  'your-admin-token',
  'changeme',
  'change-me',
  'CHANGE_ME_CHANGE_ME',
  'please-change-this-secret-key',
  'admin',
  'secret',
  'password',
  'password123456789',
  'test',
  'token',
  'my-super-secret-admin-token',
  'replace-with-strong-random-value',
]

for (const token of PLACEHOLDERS) {
  test(`the placeholder ${token} is refused with the command that makes a good one`, () => {
    expect(checkAdminToken(token)).toEqual({
      ok: false,
      problem: 'is a placeholder from an example. Make one with: openssl rand -hex 32',
    })
  })
}

test('short, guessable and unprintable tokens are refused without being repeated', () => {
  const refused = [
    '',
    '7f3c9a1e5b2d806',
    'a'.repeat(64),
    'abababababababababab',
    '1234567890123456',
    '0123456789abcdef',
    '7f3c9a1e5b 2d8064c7f3',
    '7f3c9a1e5b\t2d8064c7f3',
    '7f3c9a1e5b\u00002d8064c7f3',
    '7f3c9a1e5b\u007f2d8064c7f3',
    '7f3c9a1e5b2d8064c7fé',
  ]
  for (const token of refused) {
    const checked = checkAdminToken(token)
    expect([token, checked.ok]).toEqual([token, false])
    if (!checked.ok && token !== '') expect(checked.problem).not.toContain(token)
    if (!checked.ok) expect(checked.problem).toContain('openssl rand -hex 32')
  }
})

test('every token that openssl rand -hex 32 or this program can make is taken', () => {
  const bytes = fc
    .uint8Array({ minLength: 32, maxLength: 32 })
    .filter((all) => new Set(all).size > 8)
  fc.assert(
    fc.property(bytes, (raw) => {
      for (const token of [raw.toHex(), `qpa_${raw.toBase64({ alphabet: 'base64url' })}`]) {
        expect(checkAdminToken(` ${token}\n`)).toEqual({ ok: true, value: token })
      }
    }),
  )
})

test('a long token of almost only placeholder words is judged at once', () => {
  expect(checkAdminToken(`${'change-me-'.repeat(20_000)}!Zq7`).ok).toBe(true)
})
