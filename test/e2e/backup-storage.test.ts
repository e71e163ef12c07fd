/** Copies of backups in S3-compatible storage, over its protocol, with a server that checks every signature. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { backUp, backupsIn, callsIn, type Env, fillDatabase, run } from '../support/backups.ts'
import { S3_KEYS, startS3Server } from '../support/s3-server.ts'
import { temporaryDirectory } from '../support/server.ts'

setDefaultTimeout(60_000)

function start(calls = 100) {
  const storage = startS3Server('backups')
  const dataDir = join(temporaryDirectory(), 'data')
  mkdirSync(dataDir, { recursive: true })
  fillDatabase(join(dataDir, 'quota.db'), calls)
  const env: Env = {
    ...S3_KEYS,
    BACKUP_S3_URL: 's3://backups/some/place',
    BACKUP_S3_ENDPOINT: storage.endpoint,
    // Meant for other programs, and of no effect here.
    S3_ENDPOINT: 'http://127.0.0.1:1',
  }
  const create = () => run(dataDir, ['backup', 'create', '--json'], env)
  const list = async () => JSON.parse((await run(dataDir, ['backup', 'list', '--json'], env)).out)
  return { storage, dataDir, env, create, list, directory: join(dataDir, 'backups') }
}

test('each backup is sent, its manifest last, and can be restored when the machine is gone', async () => {
  const { storage, dataDir, env, list, directory } = start()
  const { name } = await backUp(dataDir, env)
  const sent = storage.requests.filter((request) => request.startsWith('PUT'))
  expect(sent).toEqual([`PUT some/place/${name}`, `PUT some/place/${name}.json`])
  expect(storage.objects.get(`some/place/${name}`)).toEqual(readFileSync(join(directory, name)))
  expect(await list()).toMatchObject({ backups: [{ name, places: ['local', 's3'] }] })

  rmSync(dataDir, { recursive: true })
  expect(await list()).toMatchObject({ backups: [{ name, places: ['s3'], problem: null }] })
  for (const reference of [name, 'latest']) {
    const restored = await run(dataDir, ['restore', reference, '--yes'], env)
    expect(restored).toMatchObject({ code: 0, err: '' })
    expect(callsIn(join(dataDir, 'quota.db'))).toHaveLength(100)
  }
  expect((await run(dataDir, ['backup', 'verify', name], env)).code).toBe(0)
})

test('a large backup is sent in parts, and arrives whole', async () => {
  const { storage, dataDir, env } = start(600_000)
  const { name, bytes } = await backUp(dataDir, env)
  expect(bytes).toBeGreaterThan(17 * 1024 * 1024)
  expect(storage.requests.filter((request) => request.startsWith('PUT')).length).toBeGreaterThan(2)
  const sent = storage.objects.get(`some/place/${name}`)
  expect(sent?.equals(readFileSync(join(dataDir, 'backups', name)))).toBe(true)
})

test('a storage that fails is a failure that is told and remembered; the backup is here all the same', async () => {
  const { storage, dataDir, env, create, list, directory } = start()
  storage.failWith = 503
  const { out, code } = await create()
  expect(code).toBe(1)
  const [name = ''] = backupsIn(directory)
  const outcome = JSON.parse(out)
  expect(outcome).toMatchObject({ ok: false, reason: 'failed', backup: { name } })
  expect(outcome.error).toContain('could not be sent to s3://backups/some/place')
  const status = JSON.parse(readFileSync(join(directory, 'status.json'), 'utf8'))
  expect(status).toMatchObject({ latest: { ok: false }, success: null })
  const listed = await list()
  expect(listed.backups).toMatchObject([{ name, places: ['local'] }])
  expect(listed.s3_problem).toContain('cannot be listed at s3://backups/some/place')
  // What is here needs no storage.
  expect(await run(dataDir, ['restore', 'latest', '--yes'], env)).toMatchObject({ code: 0 })

  storage.failWith = null
  expect((await create()).code).toBe(0)
})

test('a wrong secret is told by its code, and neither it nor what was signed is shown', async () => {
  const { storage, dataDir, env } = start()
  const secret = 'not-the-secret-of-this-storage'
  const wrong = { ...env, BACKUP_S3_SECRET_ACCESS_KEY: secret }
  const { out, err, code } = await run(dataDir, ['backup', 'create'], wrong)
  expect({ out, code }).toEqual({ out: '', code: 1 })
  expect(err).toContain('(SignatureDoesNotMatch)')
  for (const word of [secret, ...Object.values(S3_KEYS)]) expect(err).not.toContain(word)
  expect(storage.objects.size).toBe(0)
})

test('the storage keeps as many as the directory, and only what is ours is ever removed', async () => {
  const { storage, dataDir, env, directory } = start()
  const keep = { ...env, BACKUP_KEEP: '2' }
  const foreign = ['some/place/other.txt', 'some/place/quota-notes.txt', 'elsewhere/a']
  for (const key of foreign) storage.objects.set(key, Buffer.from('x'))
  // Sent in part: there is no manifest. Old enough to go.
  const torn = 'some/place/quota-20200101T000000Z-aaaaaa.db.zst'
  storage.objects.set(torn, Buffer.from('x'))
  const made: string[] = []
  for (let i = 0; i < 3; i++) {
    made.push((await backUp(dataDir, keep)).name)
    await Bun.sleep(1100)
  }
  const kept = made.slice(-2).flatMap((name) => [name, `${name}.json`])
  const expected = [...foreign, ...kept.map((name) => `some/place/${name}`)]
  expect([...storage.objects.keys()].sort()).toEqual(expected.sort())
  expect(backupsIn(directory)).toEqual(made.slice(-2))
})

test('more objects than one page of the storage are all seen', async () => {
  const { storage, dataDir, env } = start()
  for (let i = 0; i < 1200; i++) {
    const name = `quota-20260101T000000Z-${i.toString(16).padStart(6, '0')}.db.zst`
    storage.objects.set(`some/place/${name}`, Buffer.from('x'))
    storage.objects.set(`some/place/${name}.json`, Buffer.from('{}'))
  }
  const { out } = await run(dataDir, ['backup', 'list', '--json'], env)
  expect(JSON.parse(out).backups).toHaveLength(1200)
})

test('settings of the storage that make no sense alone, or would tell it of another session, are refused', async () => {
  const { dataDir, env } = start()
  const session = { ...env, AWS_SESSION_TOKEN: 'of-another-program' }
  const told = await run(dataDir, ['backup', 'list'], session)
  expect(told).toMatchObject({ code: 2, out: '' })
  expect(told.err).toContain('set S3_SESSION_TOKEN to nothing')
  expect(told.err).not.toContain('of-another-program')
  await backUp(dataDir, { ...session, S3_SESSION_TOKEN: '' })
  const { BACKUP_S3_SECRET_ACCESS_KEY: _, ...rest } = env
  const { err, code } = await run(dataDir, ['backup', 'list'], rest)
  expect(code).toBe(2)
  expect(err).toContain('BACKUP_S3_SECRET_ACCESS_KEY')
})
