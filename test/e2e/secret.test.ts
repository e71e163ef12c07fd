/** The key that seals credentials, over the life of an installation: made, rotated, given by the operator, lost. */
import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../support/command.ts'
import { newDatabase } from '../support/postgres.ts'
import { COMMAND, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'

const CANARY = 'sk-canary-7fQ2'

type Env = Record<string, string>

const secretKey = () => randomBytes(32).toString('base64')
const keyFile = (dataDir: string) => join(dataDir, 'secret-key')
const readKeys = (dataDir: string) => readFileSync(keyFile(dataDir), 'utf8').trim().split('\n')

/** Runs a command on a data directory, and holds it to saying no secret. */
async function run(dataDir: string, args: readonly string[], env: Env = {}) {
  const ended = await runCommand([...COMMAND, ...args], { DATA_DIR: dataDir, PORT: '0', ...env })
  const keys = existsSync(keyFile(dataDir)) ? readKeys(dataDir) : []
  for (const secret of [CANARY, ...keys, ...(env['SECRET_KEY']?.split(',') ?? [])])
    expect(ended.out + ended.err).not.toContain(secret)
  return ended
}

const rotate = (dataDir: string, ...args: string[]) => run(dataDir, ['secret', 'rotate', ...args])

async function addUpstream(server: TestServer, name: string): Promise<void> {
  const body = { name, base_url: 'https://a.example', credential: { secret: CANARY } }
  expect((await server.admin('POST', '/admin/upstreams', body)).status).toBe(201)
}

/** An installation with credentials, stopped. */
async function used(env: Env = {}, names = ['a', 'b']): Promise<string> {
  const server = await startServer(env)
  for (const name of names) await addUpstream(server, name)
  await server.stop()
  return server.dataDir
}

/** Whether each upstream has a secret: the server only starts if it can open all there are. */
async function secretsOf(dataDir: string, env: Env = {}): Promise<Record<string, boolean>> {
  const server = await startServer(env, dataDir)
  const { data } = (await (await server.admin('GET', '/admin/upstreams')).json()) as {
    data: { name: string; credential: { set: boolean } }[]
  }
  await server.stop()
  return Object.fromEntries(data.map(({ name, credential }) => [name, credential.set]))
}

test('a key is made with the first credential and not before, for its owner alone', async () => {
  const server = await startServer()
  const bare = { name: 'open', base_url: 'https://a.example' }
  await server.admin('POST', '/admin/upstreams', bare)
  expect(existsSync(keyFile(server.dataDir))).toBe(false)
  await addUpstream(server, 'a')
  expect(statSync(keyFile(server.dataDir)).mode & 0o777).toBe(0o600)
  expect(readKeys(server.dataDir)).toHaveLength(1)
  await server.stop()
})

test('rotating seals every credential with a new key, and forgets the old one', async () => {
  const dataDir = await used()
  const [old = ''] = readKeys(dataDir)
  const { out, err, code } = await rotate(dataDir)
  expect({ err, code }).toEqual({ err: '', code: 0 })
  expect(out).toStartWith('2 credentials are sealed with a new key.')
  expect(readKeys(dataDir)).toHaveLength(1)
  expect(readKeys(dataDir)).not.toContain(old)
  expect(statSync(keyFile(dataDir)).mode & 0o777).toBe(0o600)
  expect(await secretsOf(dataDir)).toEqual({ a: true, b: true })

  const again = await rotate(dataDir, '--json')
  expect(JSON.parse(again.out)).toEqual({ sealed: 2, forgotten: [] })
})

test('rotating is refused while the server runs, and changes nothing', async () => {
  const server = await startServer()
  await addUpstream(server, 'a')
  const keys = readKeys(server.dataDir)
  const { out, err, code } = await rotate(server.dataDir)
  expect({ out, code }).toEqual({ out: '', code: 1 })
  expect(err).toContain('Stop it first')
  expect(readKeys(server.dataDir)).toEqual(keys)
  await server.stop()
})

test('without a database there is nothing to rotate, and none is made', async () => {
  const dataDir = join(temporaryDirectory(), 'data')
  const { err, code } = await rotate(dataDir)
  expect(code).toBe(1)
  expect(err).toContain('There is no database file')
  expect(existsSync(dataDir)).toBe(false)
})

test('keys that the operator gives are used, never stored, and rotated by giving a new one first', async () => {
  const [old, fresh] = [secretKey(), secretKey()]
  const dataDir = await used({ SECRET_KEY: old })
  expect(existsSync(keyFile(dataDir))).toBe(false)
  const both = { SECRET_KEY: `${fresh},${old}` }
  expect(await secretsOf(dataDir, both)).toEqual({ a: true, b: true })

  const { out, code } = await run(dataDir, ['secret', 'rotate'], both)
  expect(code).toBe(0)
  expect(out).toBe(
    '2 credentials are sealed with the first key. The others are only needed for backups of before.\n',
  )
  expect(await secretsOf(dataDir, { SECRET_KEY: fresh })).toEqual({ a: true, b: true })
  expect(existsSync(keyFile(dataDir))).toBe(false)
  const { err } = await run(dataDir, ['serve'], { SECRET_KEY: old })
  expect(err).toContain('Put that key back')
})

test('replicas of a database have one key, which is rotated while they serve', async () => {
  const DATABASE_URL = await newDatabase()
  const [old, fresh] = [secretKey(), secretKey()]
  const both = { DATABASE_URL, SECRET_KEY: `${fresh},${old}` }
  const server = await startServer(both)
  await addUpstream(server, 'a')
  const { dataDir } = server
  const alone = await run(temporaryDirectory(), ['secret', 'rotate'], { DATABASE_URL })
  expect(alone.code).not.toBe(0)
  expect(alone.err).toContain('with SECRET_KEY or SECRET_KEY_FILE')

  const done = await run(temporaryDirectory(), ['secret', 'rotate'], both)
  expect(done).toMatchObject({ code: 0, err: '' })
  expect(done.out).toStartWith('1 credential is sealed with the first key.')
  await addUpstream(server, 'b')
  await server.stop()
  const stranger = { DATABASE_URL, SECRET_KEY: old }
  expect((await run(dataDir, ['serve'], stranger)).err).toContain('another secret key')
  const lost = { DATABASE_URL, SECRET_KEY: secretKey() }
  expect((await run(dataDir, ['secret', 'rotate'], lost)).code).not.toBe(0)
  expect(await secretsOf(dataDir, { DATABASE_URL, SECRET_KEY: fresh })).toEqual({
    a: true,
    b: true,
  })
  expect((await run(dataDir, ['secret', 'rotate', '--forget-lost'], lost)).code).toBe(0)
  expect(await secretsOf(dataDir, lost)).toEqual({ a: false, b: false })
})

test('a wrong or missing key stops the start with what to do, and makes no other', async () => {
  const dataDir = await used()
  renameSync(keyFile(dataDir), join(dataDir, 'elsewhere'))
  for (const env of [{}, { SECRET_KEY: secretKey() }]) {
    const { err, code } = await run(dataDir, ['serve'], env)
    expect(code).toBe(1)
    expect(err).toMatch(/^quota-proxy: The credential of the upstream "a" cannot be opened\./m)
    expect(err).toContain('Put that key back')
    expect(existsSync(keyFile(dataDir))).toBe(false)
  }
  renameSync(join(dataDir, 'elsewhere'), keyFile(dataDir))
  expect(await secretsOf(dataDir)).toEqual({ a: true, b: true })
})

test('credentials whose key is lost can be given up, and only those', async () => {
  const dataDir = await used()
  rmSync(keyFile(dataDir))
  const refused = await rotate(dataDir)
  expect(refused.code).toBe(1)
  expect(refused.err).toContain('--forget-lost')
  const { out, code } = await rotate(dataDir, '--forget-lost')
  expect(code).toBe(0)
  expect(out).toContain('The credential of a is gone; give it a new one with PATCH.')
  expect(await secretsOf(dataDir)).toEqual({ a: false, b: false })
})

test('an upstream of the environment that another one is mistaken for stops the start with what to do', async () => {
  const dataDir = await used({}, ['default'])
  const env = { UPSTREAM_BASE_URL: 'https://a.example', UPSTREAM_API_KEY: CANARY }
  const { err, code } = await run(dataDir, ['serve'], env)
  expect(code).toBe(1)
  expect(err).toContain('Start without UPSTREAM_BASE_URL')
})
