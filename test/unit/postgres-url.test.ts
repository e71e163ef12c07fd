import { expect, test } from 'bun:test'
import { parsePostgresUrl } from '../../src/domain/postgres-url.ts'

function addressesOf(text: string) {
  const parsed = parsePostgresUrl(text)
  if (!parsed.ok) throw new Error(parsed.problem)
  return parsed.addresses
}

function problemOf(text: string): string {
  const parsed = parsePostgresUrl(text)
  return parsed.ok ? '' : parsed.problem
}

test('a URL names servers in their order, with ports, brackets and escapes as libpq reads them', () => {
  const [one, other, third] = addressesOf(
    'postgresql://me%40home:p%3Aw%25@db,[::1]:6432,10.0.0.7:1/my%20quota',
  )
  expect(one).toMatchObject({
    host: 'db',
    port: 5432,
    database: 'my quota',
    user: 'me@home',
    password: 'p:w%',
  })
  expect(other).toMatchObject({ host: '::1', port: 6432 })
  expect(third).toMatchObject({ host: '10.0.0.7', port: 1 })
  expect(addressesOf('postgres://me@db/q')[0]?.password).toBeUndefined()
  expect(addressesOf('postgres://me:@db/q')[0]?.password).toBe('')
})

test('what leaves the machine is encrypted and its server verified, unless the URL says otherwise', () => {
  const modeOf = (rest: string) => addressesOf(`postgres://me:pw@${rest}`)[0]?.tls.mode
  for (const host of ['localhost', '127.0.0.1', '[::1]'])
    expect(modeOf(`${host}/q`)).toBe('disable')
  for (const host of ['db', '10.0.0.1', 'localhost.example.org', '127.example.org'])
    expect(modeOf(`${host}/q`)).toBe('verify-full')
  for (const mode of ['disable', 'require', 'verify-ca', 'verify-full'] as const)
    expect(modeOf(`db/q?sslmode=${mode}`)).toBe(mode)
  // A binding would show that the server knows the password; here a verified certificate shows who it is.
  expect(modeOf('db/q?sslmode=require&channel_binding=require')).toBe('verify-full')
  expect(modeOf('db/q?sslmode=require&channel_binding=prefer')).toBe('require')
})

test('a wrong URL is told what is wrong, and never with its password', () => {
  const wrong: readonly [string, string][] = [
    ['postgres://db/q', 'must name a user'],
    ['postgres://me:hunter2@db', 'must be like'],
    ['postgres://me:hunter2@db/', 'must name a user and a database'],
    ['postgres://me:hunter2@/q', 'has no host'],
    ['postgres://me:hunter2@db:0/q', 'has no host'],
    ['postgres://me:hunter2@db:99999/q', 'has no host'],
    ['postgres://me:hunter2@a,,b/q', 'has no host'],
    ['postgres://me:hunter2%@db/q', 'write % as %25'],
    ['postgres://me:hunter2@db/q?sslmode=prefer', 'has sslmode=prefer'],
    ['postgres://me:hunter2@db/q?pool=5', 'has the parameter "pool"'],
    ['postgres://me:hunter2@db/q#x', 'must be like'],
  ]
  for (const [url, says] of wrong) {
    expect(problemOf(url)).toContain(says)
    expect(problemOf(url)).not.toContain('hunter2')
  }
})
