/** Long commands show on a terminal how far they have come, and nothing of it anywhere else. */
import { expect, test } from 'bun:test'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '../../src/db/sqlite/client.ts'
import { migrate } from '../../src/db/sqlite/migrate.ts'
import { SQLITE_MIGRATIONS } from '../../src/db/sqlite/migrations.gen.ts'
import { backUp, fillDatabase, run } from '../support/backups.ts'
import { COMMAND, temporaryDirectory } from '../support/server.ts'
import { openTerminal } from '../support/terminal.ts'

/** More than is done within the time that nothing is shown in. */
const CALLS = 600_000

const dataDir = temporaryDirectory()
fillDatabase(join(dataDir, 'quota.db'), CALLS)
await backUp(dataDir)

/** As the version before 0003_charges left it. */
function fillAsBefore(path: string): void {
  const client = openDatabase(path, 'normal')
  const before = SQLITE_MIGRATIONS.filter(({ name }) => name < '0003')
  migrate(client, before, 0)
  client.run(
    "INSERT INTO keys (id, hash, hint, name, tags, metadata, created_at, updated_at) VALUES ('key_1', randomblob(32), '', 'a', '[]', '{}', 1, 1)",
  )
  client.run(
    `INSERT INTO calls (seq, key_seq, at, upstream, request_id, outcome, status, requests_reserved, requests_charged,
       tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out)
     WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     SELECT i, 1, i, 'somewhere', 'req_' || i, 'answered', 200, 1, 1, 0, 0, 0, 0, 1, 2, 3 FROM n`,
    [CALLS],
  )
  client.close()
}

const bar = (done: string) =>
  new RegExp(
    `\\[#*-*\\] \\d+ %  [\\d.]+ (?:B|[kMG]B) of \\d[\\d.]* MB ${done}  [\\d.]+ (?:B|[kMG]B)/s  (?:\\d+ min )?\\d+ s left`,
  )

for (const [args, done, end] of [
  [['backup', 'create'], 'backed up', /Done in/],
  [['backup', 'verify'], 'verified', /sound\. It holds/],
  [['restore', 'latest', '--dry-run'], 'restored', /The backup of .* holds/],
  [['doctor'], 'examined', /counters balance/],
] as const) {
  test(`${args.join(' ')} shows a bar on a terminal and takes it away again; in a pipe there is none`, async () => {
    const terminal = openTerminal([...COMMAND, ...args], { DATA_DIR: dataDir })
    expect(await terminal.ended).toBe(0)
    await terminal.shows(end)
    expect(await terminal.shows(bar(done))).toMatch(bar(done))
    // The line is empty before the answer begins.
    const raw = terminal.raw()
    const last = raw.lastIndexOf(' left')
    expect(raw.slice(last)).toContain('\r\u001b[K')
    expect(raw.slice(last).search(end)).toBeGreaterThan(raw.slice(last).indexOf('\r\u001b[K'))
    const { out, err, code } = await run(dataDir, args)
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).not.toContain('\u001b')
    expect(out).not.toContain(' %  ')
  }, 60_000)
}

test('migrate counts the migrations of a large database on a terminal, and says the same in a pipe', async () => {
  const oldDir = temporaryDirectory()
  fillAsBefore(join(oldDir, 'quota.db'))
  const pipeDir = temporaryDirectory()
  cpSync(oldDir, pipeDir, { recursive: true })
  const terminal = openTerminal([...COMMAND, 'migrate'], { DATA_DIR: oldDir })
  expect(await terminal.ended).toBe(0)
  const applied = /applied 0003_charges\r?\napplied 0004_metering/
  expect(await terminal.shows(applied)).toMatch(
    /\[#*-*\] \d+ % {2}[\d.]+ of 2 migrations applied {2}[\d.]+\/s {2}\d+ s left/,
  )
  const { out, err, code } = await run(pipeDir, ['migrate'])
  expect({ out, err, code }).toEqual({ out: expect.stringMatching(applied), err: '', code: 0 })
}, 60_000)

test('work that is done at once shows no bar', async () => {
  const small = temporaryDirectory()
  fillDatabase(join(small, 'quota.db'), 10)
  const terminal = openTerminal([...COMMAND, 'doctor'], { DATA_DIR: small })
  expect(await terminal.ended).toBe(0)
  expect(await terminal.shows(/counters balance/)).not.toContain(' %  ')
})
