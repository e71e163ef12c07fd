/** Restoring as an operator does it, on real files: what may be killed is killed, and what may be damaged is damaged. */
import { Database } from 'bun:sqlite'
import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { backUp, callsIn, type Env, fileIn, fillDatabase, run } from '../support/backups.ts'
import { settled, usedOf } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { COMMAND, issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

setDefaultTimeout(120_000)

const upstream = startUpstream()
const serverEnv = { PROXY_EGRESS_ALLOW: upstream.host }

const databaseOf = (dataDir: string) => join(dataDir, 'quota.db')
const restore = (dataDir: string, ...args: string[]) => run(dataDir, ['restore', ...args])
const keptOf = (dataDir: string) => fileIn(dataDir, 'quota.db.before-restore-')

/** An installation with so many calls, stopped. */
function filled(calls: number): string {
  const dataDir = join(temporaryDirectory(), 'data')
  mkdirSync(dataDir, { recursive: true })
  fillDatabase(databaseOf(dataDir), calls)
  return dataDir
}

/** One with a backup of 100 calls, and 150 calls now. */
async function changed(env: Env = {}): Promise<{ dataDir: string; name: string }> {
  const dataDir = filled(100)
  const { name } = await backUp(dataDir, env)
  rmSync(databaseOf(dataDir))
  fillDatabase(databaseOf(dataDir), 150)
  return { dataDir, name }
}

const count = (dataDir: string) => callsIn(databaseOf(dataDir)).length

test('keys, calls and counters are again what they were, and the database of before is kept', async () => {
  const server = await startServer(serverEnv)
  const { dataDir } = server
  const { key, id } = await issueKey(server, { quota: 5 })
  const call = async (one: string) => {
    const response = await server.call(one, { endpoint: upstream.url })
    await response.text()
    return response.status
  }
  for (let i = 0; i < 2; i++) expect(await call(key)).toBe(200)
  await settled(server)
  const { name } = await backUp(dataDir)
  for (let i = 0; i < 3; i++) expect(await call(key)).toBe(200)
  expect(await call(key)).toBe(429)
  const later = await issueKey(server)
  await settled(server)
  await server.stop()

  const { out, err, code } = await restore(dataDir, name, '--yes')
  expect({ err, code }).toEqual({ err: '', code: 0 })
  expect(out).toContain('holds 1 key and 2 calls; the database now holds 2 keys and 5 calls')
  expect(out).toContain('Units that were used since the backup can be used again')
  expect(callsIn(keptOf(dataDir))).toHaveLength(5)
  expect(statSync(databaseOf(dataDir)).mode & 0o77).toBe(0)

  const again = await startServer(serverEnv, dataDir)
  expect(await usedOf(again, id)).toBe(2)
  const use = async (one: string) => (await again.call(one, { endpoint: upstream.url })).status
  expect(await use(later.key)).toBe(401)
  expect(await use(key)).toBe(200)
  await settled(again)
  expect((await (await again.admin('GET', '/admin/doctor')).json()) as object).toMatchObject({
    ok: true,
  })
  await again.stop()
})

test('while a server runs it is refused, and changes nothing', async () => {
  const server = await startServer()
  const { name } = await backUp(server.dataDir)
  const before = readdirSync(server.dataDir).sort()
  const { out, err, code } = await restore(server.dataDir, name, '--yes')
  expect({ out, code }).toEqual({ out: '', code: 1 })
  expect(err).toContain('Stop it first')
  expect(readdirSync(server.dataDir).sort()).toEqual(before)
  await server.stop()
})

test('it asks; whoever cannot be asked must say --yes, and a no or a dry run changes nothing', async () => {
  const { dataDir, name } = await changed()
  const unasked = await restore(dataDir, name)
  expect(unasked.code).toBe(2)
  expect(unasked.err).toContain('--yes')
  const dry = await restore(dataDir, 'latest', '--dry-run', '--json')
  expect(dry.code).toBe(0)
  expect(JSON.parse(dry.out)).toMatchObject({
    restored: false,
    dry_run: true,
    before: { keys: 1, calls: 150 },
    after: { keys: 1, calls: 100 },
    kept: null,
  })
  // A terminal, as script(1) makes one.
  const terminal = async (answer: string) => {
    const command = [...COMMAND, 'restore', name].join(' ')
    const child = Bun.spawn(['script', '-qec', command, '/dev/null'], {
      env: { PATH: process.env['PATH'] ?? '', DATA_DIR: dataDir },
      stdin: 'pipe',
      stdout: 'pipe',
    })
    let said = ''
    let asked = false
    for await (const chunk of child.stdout) {
      said += new TextDecoder().decode(chunk)
      if (asked || !said.includes('[y/N]')) continue
      asked = true
      child.stdin.write(answer)
      child.stdin.flush()
    }
    return await child.exited
  }
  expect(await terminal('n\n')).toBe(1)
  expect(count(dataDir)).toBe(150)
  expect(readdirSync(dataDir).filter((file) => file.includes('restor'))).toEqual([])
  expect(await terminal('y\n')).toBe(0)
  expect(count(dataDir)).toBe(100)
})

test('the log of a killed server goes to the database of before, and not into the restored one', async () => {
  const server = await startServer(serverEnv)
  const { dataDir } = server
  const { key } = await issueKey(server)
  const { name } = await backUp(dataDir)
  for (let i = 0; i < 5; i++) await (await server.call(key, { endpoint: upstream.url })).text()
  await settled(server)
  await server.stop('SIGKILL')
  expect(statSync(`${databaseOf(dataDir)}-wal`).size).toBeGreaterThan(0)

  const { code } = await restore(dataDir, name, '--yes')
  expect(code).toBe(0)
  for (const suffix of ['-wal', '-shm'])
    expect(existsSync(databaseOf(dataDir) + suffix)).toBe(false)
  expect(count(dataDir)).toBe(0)
  expect(callsIn(keptOf(dataDir))).toHaveLength(5)
})

test('the log of a database that somebody reads is kept with it, and out of the way', async () => {
  const server = await startServer(serverEnv)
  const { dataDir } = server
  const { key } = await issueKey(server)
  const { name } = await backUp(dataDir)
  for (let i = 0; i < 5; i++) await (await server.call(key, { endpoint: upstream.url })).text()
  await settled(server)
  await server.stop('SIGKILL')
  const reader = new Database(databaseOf(dataDir), { readonly: true })
  reader.run('BEGIN')
  reader.query('SELECT count(*) FROM keys').get()
  // Written after it has begun to read, so that it is in the way.
  const writer = new Database(databaseOf(dataDir))
  writer.run("UPDATE keys SET name = 'changed'")
  writer.close()

  const { out, code } = await restore(dataDir, name, '--yes')
  expect(code).toBe(0)
  expect(out).toContain('with its log beside it')
  for (const suffix of ['-wal', '-shm'])
    expect(existsSync(databaseOf(dataDir) + suffix)).toBe(false)
  expect(count(dataDir)).toBe(0)
  reader.close()
  const [kept = ''] = readdirSync(dataDir)
    .filter((file) => file.includes('before-restore'))
    .sort()
  expect(callsIn(join(dataDir, kept))).toHaveLength(5)
})

test('a database too damaged to be opened is replaced, and kept with its log', async () => {
  const { dataDir, name } = await changed()
  const path = databaseOf(dataDir)
  const junk = Buffer.alloc(8192, 'junk')
  for (const file of [path, `${path}-wal`, `${path}-shm`]) writeFileSync(file, junk)
  const { out, code } = await restore(dataDir, name, '--yes')
  expect(code).toBe(0)
  expect(out).toContain('nothing that can be read')
  expect(out).toContain('with its log beside it')
  for (const suffix of ['-wal', '-shm']) expect(existsSync(path + suffix)).toBe(false)
  expect(count(dataDir)).toBe(100)
  const kept = readdirSync(dataDir)
    .filter((file) => file.includes('before-restore'))
    .sort()
  expect(kept).toHaveLength(2)
  expect(kept[1]).toBe(`${kept[0]}-wal`)
  for (const file of kept) expect(readFileSync(join(dataDir, file))).toEqual(junk)
})

test('without a database, or without its directory, there is one afterwards', async () => {
  const { dataDir, name } = await changed()
  rmSync(databaseOf(dataDir))
  expect(await restore(dataDir, name, '--yes')).toMatchObject({ code: 0, err: '' })
  expect(count(dataDir)).toBe(100)
  const elsewhere = join(temporaryDirectory(), 'new', 'data')
  const path = join(dataDir, 'backups', name)
  expect(await restore(elsewhere, path, '--yes')).toMatchObject({ code: 0, err: '' })
  expect(count(elsewhere)).toBe(100)
  const server = await startServer({}, elsewhere)
  expect(await (await server.admin('GET', '/admin/doctor')).json()).toMatchObject({ ok: true })
  expect(await server.stop()).toBe(0)
})

test('where there is no database and none comes to be, no lock is left', async () => {
  const { dataDir } = await changed()
  const backups = join(dataDir, 'backups')
  for (const args of [
    ['latest', '--dry-run'],
    ['quota-20200101T000000Z-aaaaaa.db.zst', '--yes'],
  ]) {
    const nowhere = join(temporaryDirectory(), 'data')
    await run(nowhere, ['restore', ...args], { BACKUP_DIR: backups })
    expect([args, existsSync(nowhere) ? readdirSync(nowhere) : []]).toEqual([args, []])
  }
})

test('what was restored by mistake is undone by restoring the database of before', async () => {
  const { dataDir, name } = await changed()
  await restore(dataDir, name, '--yes')
  const kept = keptOf(dataDir)
  const aside = join(temporaryDirectory(), 'quota.db')
  copyFileSync(kept, aside)
  expect(await restore(dataDir, aside, '--yes')).toMatchObject({ code: 0, err: '' })
  expect(count(dataDir)).toBe(150)
})

test('a database behind a link is replaced where it is', async () => {
  const { dataDir, name } = await changed()
  const real = join(temporaryDirectory(), 'real.db')
  renameSync(databaseOf(dataDir), real)
  symlinkSync(real, databaseOf(dataDir))
  const elsewhere = await restore(dataDir, name, '--yes')
  expect(elsewhere).toMatchObject({ code: 0, err: '' })
  expect(callsIn(real)).toHaveLength(100)
})

const REFUSED: [string, string, (path: string) => void][] = [
  [
    'cut off',
    'cannot be restored',
    (path) => writeFileSync(path, readFileSync(path).subarray(0, 900)),
  ],
  ['no backup at all', 'It is no backup of quota-proxy.', (path) => writeFileSync(path, 'hello')],
  ['empty', 'It is no backup of quota-proxy.', (path) => writeFileSync(path, '')],
  [
    'the database of another program',
    'It is no database of quota-proxy.',
    (path) => {
      rmSync(path)
      new Database(path).run('CREATE TABLE t (a)')
    },
  ],
  [
    'newer than this binary',
    'newer than this binary',
    (path) => {
      rmSync(path)
      fillDatabase(path, 1)
      const client = new Database(path)
      client.run("INSERT INTO schema_migrations VALUES ('9999_future', 'x', 1)")
      client.close()
    },
  ],
  [
    'a database with a log beside it',
    'What was written last is in ',
    (path) => {
      rmSync(path)
      fillDatabase(path, 1)
      writeFileSync(`${path}-wal`, 'x')
    },
  ],
  [
    'a damaged database',
    'cannot be restored',
    (path) => {
      rmSync(path)
      fillDatabase(path, 1000)
      const bytes = readFileSync(path)
      for (let at = 8192; at < bytes.length; at += 4096) bytes.fill(0xff, at, at + 16)
      writeFileSync(path, bytes)
    },
  ],
]
test.each(REFUSED)(
  'a file that is %s is refused, and nothing is changed',
  async (_, problem, spoil) => {
    const { dataDir, name } = await changed()
    const path = join(temporaryDirectory(), 'file')
    copyFileSync(join(dataDir, 'backups', name), path)
    spoil(path)
    const before = readFileSync(databaseOf(dataDir))
    const { err, code } = await restore(dataDir, path, '--yes')
    expect({ code, said: err.includes(problem), err }).toMatchObject({ code: 1, said: true })
    expect(readFileSync(databaseOf(dataDir))).toEqual(before)
    expect(readdirSync(dataDir).filter((file) => file.includes('restor'))).toEqual([])
  },
)

test('an encrypted backup needs its private key, and a lost secret key is told of', async () => {
  const key = join(temporaryDirectory(), 'key.txt')
  await runCommand(['age-keygen', '-o', key])
  const [, recipient = ''] = /public key: (age1\w+)/.exec(readFileSync(key, 'utf8')) ?? []
  const server = await startServer()
  const { dataDir } = server
  const body = {
    name: 'a',
    base_url: 'https://a.example',
    credential: { secret: 'sk-some-secret' },
  }
  expect((await server.admin('POST', '/admin/upstreams', body)).status).toBe(201)
  const { name } = await backUp(dataDir, { BACKUP_AGE_RECIPIENTS: recipient })
  await server.stop()
  const closed = await restore(dataDir, name, '--yes')
  expect(closed.code).toBe(1)
  expect(closed.err).toContain('It is encrypted. Give the file with its private key')
  const open = await restore(dataDir, name, '--identity-file', key, '--yes')
  expect(open).toMatchObject({ code: 0, err: '' })
  expect(open.out).not.toContain('secret key')
  rmSync(join(dataDir, 'secret-key'))
  const lost = await restore(dataDir, name, '--identity-file', key, '--dry-run')
  expect(lost.out).toMatch(/sealed with the secret key [0-9a-f]{8}, which is not here/)
})

let crash: { dataDir: string; name: string }
beforeAll(async () => {
  const dataDir = filled(40_000)
  const { name } = await backUp(dataDir)
  rmSync(databaseOf(dataDir))
  fillDatabase(databaseOf(dataDir), 20_000)
  crash = { dataDir, name }
})

test('killed at any moment it leaves the old database or the new one, whole, and the next run completes it', async () => {
  const { dataDir, name } = crash
  const original = readFileSync(databaseOf(dataDir))
  const reset = () => {
    for (const file of readdirSync(dataDir)) {
      if (file.startsWith('quota.db') && !file.endsWith('.lock')) rmSync(join(dataDir, file))
    }
    writeFileSync(databaseOf(dataDir), original)
    // Twenty thousand and one, with the last one in the log: only a reader of both sees it.
    const child = Bun.spawnSync([process.execPath, '-e', LEAVES_LOG], {
      env: { DB: databaseOf(dataDir) },
    })
    expect(child.signalCode).toBe('SIGKILL')
  }
  reset()
  const startedMs = performance.now()
  await restore(dataDir, name, '--dry-run')
  const wholeMs = performance.now() - startedMs
  const seen = new Set<number>()
  for (let i = 0; i < 30; i++) {
    reset()
    const child = Bun.spawn([...COMMAND, 'restore', name, '--yes'], {
      env: { PATH: process.env['PATH'] ?? '', DATA_DIR: dataDir },
      stdout: 'ignore',
      stderr: 'ignore',
    })
    // Most of it is preparation; the replacement is at the end.
    await Bun.sleep(wholeMs * (0.6 + Math.random() * 0.6))
    child.kill('SIGKILL')
    await child.exited
    const found = count(dataDir)
    expect([20_001, 40_000]).toContain(found)
    const client = new Database(databaseOf(dataDir))
    expect(client.query('PRAGMA integrity_check').values()).toEqual([['ok']])
    client.close()
    if (found === 40_000) expect(callsIn(keptOf(dataDir))).toHaveLength(20_001)
    seen.add(found)
  }
  expect(await restore(dataDir, name, '--yes')).toMatchObject({ code: 0, err: '' })
  expect(count(dataDir)).toBe(40_000)
  expect(existsSync(join(dataDir, 'quota.db.restoring'))).toBe(false)
})

const LEAVES_LOG = `
  const { Database } = require('bun:sqlite')
  const client = new Database(process.env.DB)
  client.run('PRAGMA journal_mode = WAL')
  client.run("INSERT INTO calls SELECT 20001, key_seq, at, upstream, request_id, outcome, status, requests_reserved, requests_charged, tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out, model, tokens_input, tokens_output, tokens_cached, tokens_reasoning, estimated, price_list_id, counters, usage_parts FROM calls WHERE seq = 1")
  process.kill(process.pid, 'SIGKILL')
`
