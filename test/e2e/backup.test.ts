/**
 * Backups as an operator makes them, looked at with other people's tools: zstd and age (the Debian packages of these
 * names) must read them, and SQLite must find a whole database in them.
 */
import { Database } from 'bun:sqlite'
import { beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { backUp, backupsIn, callsIn, fillDatabase, NAME, run } from '../support/backups.ts'
import { settled } from '../support/books.ts'
import { runCommand } from '../support/command.ts'
import { COMMAND, issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

/** Each test starts many processes. */
setDefaultTimeout(300_000)

/** Filled once, about thirty megabytes. */
let large: string

beforeAll(() => {
  large = join(temporaryDirectory(), 'data')
  mkdirSync(large, { recursive: true })
  fillDatabase(join(large, 'quota.db'), 150_000)
})

/** A small installation, stopped. */
function small(): string {
  const dataDir = join(temporaryDirectory(), 'data')
  mkdirSync(dataDir, { recursive: true })
  fillDatabase(join(dataDir, 'quota.db'), 100)
  return dataDir
}

const directoryOf = (dataDir: string) => join(dataDir, 'backups')
const statusOf = (dataDir: string) =>
  JSON.parse(readFileSync(join(directoryOf(dataDir), 'status.json'), 'utf8'))

async function tool(command: readonly string[]): Promise<void> {
  const { err, code } = await runCommand(command)
  expect({ command: command[0], err, code }).toEqual({ command: command[0], err: '', code: 0 })
}

async function keyPair(): Promise<{ recipient: string; file: string }> {
  const file = join(temporaryDirectory(), 'key.txt')
  await tool(['age-keygen', '-o', file]).catch(() => {})
  const [, recipient = ''] = /public key: (age1\w+)/.exec(readFileSync(file, 'utf8')) ?? []
  return { recipient, file }
}

test('a backup of a running server is whole, private, listed, and readable with zstd and SQLite', async () => {
  const upstream = startUpstream()
  const server = await startServer({ PROXY_EGRESS_ALLOW: upstream.host })
  const { key } = await issueKey(server)
  for (let i = 0; i < 3; i++) await (await server.call(key, { endpoint: upstream.url })).text()
  await settled(server)
  const { out, err, code } = await run(server.dataDir, ['backup', 'create'])
  expect({ err, code }).toEqual({ err: '', code: 0 })
  expect(out).toContain('It holds 1 key and 3 calls')

  const directory = directoryOf(server.dataDir)
  const [name = ''] = backupsIn(directory)
  expect(name).toMatch(NAME)
  for (const file of readdirSync(directory))
    expect({ file, mode: statSync(join(directory, file)).mode & 0o77 }).toEqual({ file, mode: 0 })
  expect(statSync(directory).mode & 0o77).toBe(0)

  const list = await run(server.dataDir, ['backup', 'list', '--json'])
  expect(JSON.parse(list.out)).toMatchObject({
    backups: [
      {
        name,
        encrypted: false,
        places: ['local'],
        problem: null,
        bytes: statSync(join(directory, name)).size,
        contents: { keys: 1, calls: 3, calls_in_flight: 0, requests: 3, unbalanced_counters: 0 },
      },
    ],
    s3_problem: null,
  })
  expect((await run(server.dataDir, ['backup', 'list'])).out).toContain(name)
  expect(await run(server.dataDir, ['backup', 'verify'])).toMatchObject({ code: 0, err: '' })

  const plain = join(temporaryDirectory(), 'plain.db')
  await tool(['zstd', '-q', '-d', join(directory, name), '-o', plain])
  const client = new Database(plain, { readonly: true })
  expect(client.query('PRAGMA integrity_check').values()).toEqual([['ok']])
  client.close()
  expect(callsIn(plain)).toEqual([1, 2, 3])
  expect(await server.stop()).toBe(0)
})

test('an encrypted backup opens with age and the private key, and with nothing else', async () => {
  const dataDir = small()
  const [mine, other] = [await keyPair(), await keyPair()]
  const env = { BACKUP_AGE_RECIPIENTS: mine.recipient }
  const { name, encrypted } = await backUp(dataDir, env)
  expect(encrypted).toBe(true)
  expect(name).toEndWith('.db.zst.age')
  const path = join(directoryOf(dataDir), name)

  const packed = join(temporaryDirectory(), 'packed.zst')
  await tool(['age', '-d', '-i', mine.file, '-o', packed, path])
  const plain = join(temporaryDirectory(), 'plain.db')
  await tool(['zstd', '-q', '-d', packed, '-o', plain])
  expect(callsIn(plain)).toHaveLength(100)
  expect((await runCommand(['age', '-d', '-i', other.file, path])).code).not.toBe(0)

  const verify = (...args: string[]) => run(dataDir, ['backup', 'verify', name, ...args])
  const closed = await verify()
  expect(closed).toMatchObject({ code: 0 })
  expect(closed.out).toContain('the bytes are what they were')
  expect((await verify('--identity-file', mine.file)).out).toContain('sound. It holds 1 key')
  expect(await verify('--identity-file', other.file)).toMatchObject({ code: 1, out: '' })
  appendFileSync(path, 'x')
  expect(await verify()).toMatchObject({ code: 1, out: '' })
})

test('every kind of damage to a backup is found', async () => {
  const dataDir = small()
  const { name, bytes } = await backUp(dataDir)
  const path = join(directoryOf(dataDir), name)
  const whole = readFileSync(path)
  const manifest = readFileSync(`${path}.json`, 'utf8')
  const flipped = Buffer.from(whole)
  flipped[bytes >> 1] = (flipped[bytes >> 1] ?? 0) ^ 1
  const damages: Record<string, () => void> = {
    'cut off': () => truncateSync(path, bytes - 10),
    'cut off without a manifest': () => {
      truncateSync(path, bytes >> 1)
      rmSync(`${path}.json`)
    },
    emptied: () => truncateSync(path, 0),
    'one bit': () => writeFileSync(path, flipped),
    'a longer file': () => appendFileSync(path, 'x'),
    'another manifest': () =>
      writeFileSync(`${path}.json`, manifest.replace('"calls": 100', '"calls": 101')),
  }
  for (const [damage, apply] of Object.entries(damages)) {
    writeFileSync(path, whole)
    writeFileSync(`${path}.json`, manifest)
    expect(await run(dataDir, ['backup', 'verify', name])).toMatchObject({ code: 0 })
    apply()
    const { out, err, code } = await run(dataDir, ['backup', 'verify', name])
    expect({ damage, out, code }).toEqual({ damage, out: '', code: 1 })
    expect(err).toStartWith('quota-proxy: ')
  }
})

test('small files that were cut off within a write are removed by the next run, and nothing else is', async () => {
  const server = await startServer()
  await server.stop()
  const directory = directoryOf(server.dataDir)
  mkdirSync(directory, { recursive: true })
  const ours = [
    'status.json.0123456789ab.tmp',
    'quota-20261123T063141Z-96314c.db.zst.json.c1a587614c07.tmp',
  ]
  const others = ['mine.json.0123456789ab.tmp', 'status.json.tmp', 'quota.json']
  for (const name of [...ours, ...others]) writeFileSync(join(directory, name), 'x')
  await backUp(server.dataDir)
  const left = readdirSync(directory)
  expect(ours.filter((name) => left.includes(name))).toEqual([])
  expect(others.filter((name) => !left.includes(name))).toEqual([])
})

test('killed at any moment it leaves nothing that looks like a backup and is none, and the next run cleans up', async () => {
  const startedMs = performance.now()
  await backUp(large)
  const wholeMs = performance.now() - startedMs
  const directory = directoryOf(large)
  const checked = new Set<string>()
  const seen = { published: 0, cutOff: 0 }
  for (let i = 0; i < 45; i++) {
    const child = Bun.spawn([...COMMAND, 'backup', 'create', '--json'], {
      env: { PATH: process.env['PATH'] ?? '', DATA_DIR: large, BACKUP_KEEP: '10000' },
      stdout: 'ignore',
      stderr: 'ignore',
    })
    // The end is where files get their names: a third of the kills go there.
    const from = i % 3 === 0 ? 0.75 : 0.1
    await Bun.sleep(wholeMs * (from + Math.random() * (1.1 - from)))
    child.kill('SIGKILL')
    if ((await child.exited) !== 0) seen.cutOff++
    for (const name of backupsIn(directory)) {
      if (checked.has(name)) continue
      const { err, code } = await run(large, ['backup', 'verify', name])
      expect({ name, err, code }).toEqual({ name, err: '', code: 0 })
      checked.add(name)
      seen.published++
    }
  }
  expect(seen.cutOff).toBeGreaterThan(10)
  await backUp(large)
  const names = backupsIn(directory)
  const expected = [...names, ...names.map((name) => `${name}.json`), 'status.json']
  const files = readdirSync(directory).filter((file) => !file.endsWith('.lock'))
  expect(files.sort()).toEqual(expected.sort())
})

test('one backup is made at a time, and who is refused leaves no trace', async () => {
  const create = () => run(large, ['backup', 'create', '--json'])
  await backUp(large)
  const before = backupsIn(directoryOf(large)).length
  const both = await Promise.all([create(), create()])
  expect(both.map(({ code }) => code).sort()).toEqual([0, 1])
  const refused = both.find(({ code }) => code === 1)
  expect(JSON.parse(refused?.out ?? '')).toMatchObject({ ok: false, reason: 'running' })
  expect(statusOf(large).latest.ok).toBe(true)
  expect(backupsIn(directoryOf(large)).length).toBeLessThanOrEqual(before + 1)
})

test('only so many are kept, the newest always, and nothing of another name is touched', async () => {
  const dataDir = small()
  const directory = directoryOf(dataDir)
  const [first, second] = [await backUp(dataDir), await backUp(dataDir)]
  // An old one is one whose name and manifest say so.
  const old = second.name.replace(/\d{8}T/, '20200101T')
  renameSync(join(directory, second.name), join(directory, old))
  const manifest = readFileSync(join(directory, `${second.name}.json`), 'utf8')
  rmSync(join(directory, `${second.name}.json`))
  writeFileSync(
    join(directory, `${old}.json`),
    manifest
      .replaceAll(second.name, old)
      .replace(/("created_at": ")\d{4}-\d\d-\d\d/, '$12020-01-01'),
  )
  const foreign = ['mine.db.zst', 'quota-20200101T000000Z-zzzzzz.db.zst', `copy of ${first.name}`]
  for (const file of foreign) writeFileSync(join(directory, file), 'x')

  const dry = await run(dataDir, ['backup', 'prune', '--dry-run', '--json'])
  expect(JSON.parse(dry.out)).toEqual({ dry_run: true, removed: [{ name: old, place: 'local' }] })
  const asked = await run(dataDir, ['backup', 'prune'])
  expect(asked).toMatchObject({ code: 2, out: '' })
  expect(asked.err).toContain('--yes')
  expect(backupsIn(directory)).toEqual([old, first.name])
  expect(await run(dataDir, ['backup', 'prune', '--yes'])).toMatchObject({ code: 0 })
  expect(backupsIn(directory)).toEqual([first.name])

  const keep = { BACKUP_KEEP: '2' }
  const made = [first.name]
  for (let i = 0; i < 3; i++) {
    // Names tell seconds.
    await Bun.sleep(1100)
    made.push((await backUp(dataDir, keep)).name)
  }
  expect(backupsIn(directory)).toEqual(made.slice(-2))
  for (const file of foreign) expect(existsSync(join(directory, file))).toBe(true)
})

test('a damaged database is not backed up: what was there stays, and the failure is remembered', async () => {
  const dataDir = small()
  const good = await backUp(dataDir)
  const path = join(dataDir, 'quota.db')
  const bytes = readFileSync(path)
  for (let at = 8192; at < bytes.length; at += 4096) bytes.fill(0xff, at, at + 16)
  writeFileSync(path, bytes)
  const { err, code } = await run(dataDir, ['backup', 'create'], { BACKUP_KEEP: '1' })
  expect(code).toBe(1)
  expect(err).toStartWith('quota-proxy: ')
  expect(backupsIn(directoryOf(dataDir))).toEqual([good.name])
  expect(statusOf(dataDir)).toMatchObject({
    latest: { ok: false, error: expect.any(String) },
    success: { name: good.name },
  })
})

test('what cannot be written or read is said in a sentence', async () => {
  const dataDir = small()
  const file = join(temporaryDirectory(), 'file')
  writeFileSync(file, '')
  chmodSync(file, 0o400)
  const nowhere = await run(dataDir, ['backup', 'create'], { BACKUP_DIR: join(file, 'backups') })
  expect(nowhere).toMatchObject({ code: 1, out: '' })
  expect(nowhere.err).toMatch(/^quota-proxy: .+\n$/)
  const nothing = join(temporaryDirectory(), 'nothing')
  const missing = await run(nothing, ['backup', 'create'])
  expect(missing).toMatchObject({ out: '', code: 1 })
  expect(missing.err).toContain('There is no database at ')
  // Not even a lock.
  expect(existsSync(nothing)).toBe(false)
  const memory = await run(dataDir, ['backup', 'create'], { DATABASE_URL: ':memory:' })
  expect(memory.err).toContain('A database in memory has no backups.')
  const none = await run(dataDir, ['backup', 'verify'])
  expect(none.err).toContain('There is no backup yet.')
  const other = await run(dataDir, ['backup', 'verify', 'quota-20200101T000000Z-aaaaaa.db.zst'])
  expect(other.err).toContain('There is no backup quota-20200101T000000Z-aaaaaa.db.zst in ')
  const wrong = await run(dataDir, ['backup', 'create'], { BACKUP_KEEP: '0' })
  expect(wrong.code).toBe(2)
  const identity = await run(dataDir, ['backup', 'verify', '--identity-file', file])
  expect(identity.err).toContain('--identity-file must name a file with a private key of age')
})

test('the doctor tells of a backup that failed or is late, and of none that nobody wants', async () => {
  const dataDir = small()
  const doctor = async (env: Record<string, string>) => {
    const { out } = await run(dataDir, ['doctor', '--json'], env)
    const { findings } = JSON.parse(out) as { findings: { check: string; ok: boolean }[] }
    return findings.find(({ check }) => check === 'backup')
  }
  const nightly = { BACKUP_SCHEDULE: '17 3 * * *' }
  expect(await doctor({})).toMatchObject({ ok: true })
  expect(await doctor(nightly)).toMatchObject({ ok: true })
  await backUp(dataDir)
  expect(await doctor(nightly)).toMatchObject({ ok: true })
  const status = join(directoryOf(dataDir), 'status.json')
  const { latest, success } = statusOf(dataDir)
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()
  for (const [days, ok] of [
    [1.9, true],
    [2.1, false],
  ] as const) {
    const record = { latest, success: { ...success, at: daysAgo(days) } }
    writeFileSync(status, JSON.stringify(record))
    expect(await doctor(nightly)).toMatchObject({ ok })
    expect(await doctor({ BACKUP_SCHEDULE: '17 3 * * 1' })).toMatchObject({ ok: true })
    expect(await doctor({})).toMatchObject({ ok: true })
  }
  writeFileSync(status, JSON.stringify({ latest: { ...latest, ok: false, error: 'x' }, success }))
  expect(await doctor(nightly)).toMatchObject({ ok: false })
})
