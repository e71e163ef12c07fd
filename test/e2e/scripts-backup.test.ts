/** The scripts that back up and say how backups go, on real databases, served and not. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runScript, settingsOf } from '../support/scripts.ts'
import { issueKey, startServer, type TestServer } from '../support/server.ts'

/** A script is a dozen processes, each done within a second on a machine with nothing else to do. */
setDefaultTimeout(60_000)

const MAKE = 'backup-database.sh'
const CHECK = 'check-server-backup-status.sh'
const SUMMARY = 'backup-status-summary.sh'

const NIGHTLY = { BACKUP_SCHEDULE: '17 3 * * *' }

/** What the scripts and the server go by. */
async function start(env: Record<string, string> = {}) {
  const server = await startServer(env)
  await issueKey(server)
  return { server, settings: { ...settingsOf(server), ...env } }
}

const backupsOf = (server: TestServer) => {
  const directory = join(server.dataDir, 'backups')
  return readdirSync(directory)
    .filter((name) => name.endsWith('.db.zst'))
    .map((name) => join(directory, name))
}

test('without a backup the status is wrong, scheduled or not, and right as soon as there is one', async () => {
  for (const env of [{}, NIGHTLY]) {
    const { server, settings } = await start(env)
    const none = await runScript(CHECK, [], settings)
    expect(none.code).toBe(1)
    expect(none.out).toContain('there is none yet')
    expect(await runScript(SUMMARY, [], settings)).toMatchObject({
      out: expect.stringMatching(/^FAIL \| 0 kept \| .*\n$/),
      code: 1,
    })

    const made = await runScript(MAKE, [], settings)
    expect(made).toMatchObject({ err: '', code: 0 })
    const [path = ''] = backupsOf(server)
    expect(made.out).toStartWith(`${path}\n`)
    expect(made.out).toContain('was verified by restoring it')

    const status = await runScript(CHECK, ['--verify'], settings)
    expect(status).toMatchObject({ err: '', code: 0 })
    expect(status.out).toContain(`${path}: sound. It holds 1 key and 0 calls.`)
    expect(await runScript(SUMMARY, [], settings)).toMatchObject({
      out: expect.stringMatching(/^ok \| 1 kept \| [^\n]*\n$/),
      err: '',
      code: 0,
    })
  }
})

test('a backup is made and looked at without a server, too', async () => {
  const { server, settings } = await start(NIGHTLY)
  await server.stop()
  const made = await runScript(MAKE, ['--json'], settings)
  expect(JSON.parse(made.out)).toMatchObject({ ok: true, backup: { sums: { keys: 1 } } })
  expect(backupsOf(server)).toHaveLength(1)
  const { out, code } = await runScript(CHECK, ['--json', '--verify'], settings)
  expect({ code, ...JSON.parse(out) }).toMatchObject({
    code: 0,
    ok: true,
    status: { schedule: NIGHTLY.BACKUP_SCHEDULE, latest: { ok: true } },
    newest: { problem: null, places: ['local'] },
  })
  expect(JSON.parse((await runScript(SUMMARY, ['--json'], settings)).out)).toMatchObject({
    ok: true,
  })
})

test('the server that is named says how its backups go', async () => {
  const { server, settings } = await start(NIGHTLY)
  const at = ['--url', server.url, '--token-file', join(server.dataDir, 'admin-token')]
  expect((await runScript(CHECK, at)).code).toBe(1)
  await runScript(MAKE, [], settings)
  const { out, code } = await runScript(CHECK, at)
  expect(code).toBe(0)
  expect(out).toMatch(
    /^ok {4}schedule {2}17 3 \* \* \* \(in DEFAULT_TIMEZONE\); the next is due at 20/m,
  )
  expect((await runScript(SUMMARY, at)).code).toBe(0)
  const wrong = await runScript(CHECK, at.slice(0, 2), { ADMIN_TOKEN: '7f3c9a1e5b2d8064c7f3' })
  expect(wrong).toMatchObject({ out: '', code: 1 })
  await server.stop()
  expect(await runScript(CHECK, at)).toMatchObject({ out: '', code: 1 })
  expect((await runScript(MAKE, at)).code).toBe(2)
})

test('a backup that fails is told, until one succeeds', async () => {
  const { settings } = await start(NIGHTLY)
  // Nobody listens at port 1.
  const unreachable = {
    BACKUP_S3_URL: 's3://backups',
    BACKUP_S3_ENDPOINT: 'http://127.0.0.1:1',
    BACKUP_S3_ACCESS_KEY_ID: 'id',
    BACKUP_S3_SECRET_ACCESS_KEY: 'secret-that-is-shown-nowhere',
  }
  const failed = await runScript(MAKE, [], { ...settings, ...unreachable })
  expect(failed).toMatchObject({ out: '', code: 1 })
  const { out, code } = await runScript(CHECK, [], settings)
  expect(code).toBe(1)
  expect(out).toMatch(/^FAIL {2}latest {4}the attempt of 20\S+ failed: /m)
  expect(failed.err + out).not.toContain('secret-that-is-shown-nowhere')

  expect((await runScript(MAKE, [], settings)).code).toBe(0)
  expect((await runScript(CHECK, [], settings)).code).toBe(0)
})

test('a backup that is overdue, cut short or changed is found out', async () => {
  const { server, settings } = await start(NIGHTLY)
  await runScript(MAKE, [], settings)
  const [path = ''] = backupsOf(server)
  const record = join(server.dataDir, 'backups/status.json')
  const noted = readFileSync(record, 'utf8')
  const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString()
  const madeAt = (at: string) => {
    const { latest, success } = JSON.parse(noted)
    writeFileSync(
      record,
      JSON.stringify({ latest: { ...latest, at }, success: { ...success, at } }),
    )
  }
  madeAt(daysAgo(1))
  expect((await runScript(CHECK, [], settings)).code).toBe(0)
  madeAt(daysAgo(3))
  const old = await runScript(CHECK, [], settings)
  expect(old.code).toBe(1)
  expect(old.out).toMatch(/^FAIL {2}latest {4}3 days old: /m)
  writeFileSync(record, noted)

  const bytes = readFileSync(path)
  const middle = bytes.length >> 1
  const changed = Buffer.from(bytes)
  changed[middle] = (changed[middle] ?? 0) ^ 1
  writeFileSync(path, changed)
  // Its bytes are only looked at when told to.
  expect((await runScript(CHECK, [], settings)).code).toBe(0)
  expect((await runScript(CHECK, ['--verify'], settings)).code).toBe(1)

  truncateSync(path, middle)
  const short = await runScript(CHECK, [], settings)
  expect(short.code).toBe(1)
  expect(short.out).toMatch(/^FAIL {2}newest .* is not as long as it was$/m)
})

test('a database that is damaged or missing is not backed up', async () => {
  const { server, settings } = await start()
  await server.stop()
  const path = join(server.dataDir, 'quota.db')
  const bytes = readFileSync(path)
  for (let at = 4096; at < bytes.length; at += 4096) bytes.fill(0xff, at, at + 16)
  writeFileSync(path, bytes)
  expect(await runScript(MAKE, [], settings)).toMatchObject({ out: '', code: 1 })
  expect(backupsOf(server)).toEqual([])
  expect((await runScript(CHECK, [], settings)).code).toBe(1)

  const nowhere = { DATA_DIR: join(server.dataDir, 'nowhere') }
  expect(await runScript(MAKE, [], nowhere)).toMatchObject({ out: '', code: 1 })
  expect(await runScript(CHECK, [], nowhere)).toMatchObject({ out: '', code: 1 })
  expect(existsSync(join(nowhere.DATA_DIR, 'quota.db'))).toBe(false)
})
