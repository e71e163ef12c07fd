/** What the scripts have in common, and the one that looks at the database, on databases that are well and broken. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { runCommand } from '../support/command.ts'
import { report, runScript, SCRIPT_NAMES, SCRIPTS, settingsOf } from '../support/scripts.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'

/** A script is a dozen processes, each done within a second on a machine with nothing else to do. */
setDefaultTimeout(60_000)

const VERIFY = 'verify-sqlite-status.sh'
const TOKEN = '7f3c9a1e5b2d8064c7f3'

test('the scripts of the guide are all there, and can be run', () => {
  expect([...SCRIPT_NAMES].sort()).toEqual([
    'backup-database.sh',
    'backup-status-summary.sh',
    'check-server-backup-status.sh',
    'configure-backup-alerts.sh',
    'configure-sqlite-persistence.sh',
    'test-admin-interface.sh',
    'verify-sqlite-status.sh',
  ])
  for (const name of SCRIPT_NAMES) {
    expect(readFileSync(join(SCRIPTS, name), 'utf8')).toStartWith('#!/bin/sh\n')
    expect(statSync(join(SCRIPTS, name)).mode & 0o111).toBe(0o111)
  }
})

test('the scripts run the Bun of this project where there is no binary', () => {
  const lib = readFileSync(join(SCRIPTS, 'lib/server.sh'), 'utf8')
  expect(lib).toContain(`BUN_VERSION=${manifest.engines.bun}\n`)
})

test.skipIf(Bun.which('shellcheck') === null)(
  'shellcheck finds nothing in them (needs shellcheck)',
  async () => {
    const files = [...SCRIPT_NAMES, 'lib/server.sh', 'lib/findings.sh', 'lib/settings-file.sh']
    expect(await runCommand(['shellcheck', ...files], {}, SCRIPTS)).toEqual({
      out: '',
      err: '',
      code: 0,
    })
  },
)

for (const name of SCRIPT_NAMES) {
  test(`${name} --help explains itself on standard output with exit code 0`, async () => {
    const { out, err, code } = await runScript(name, ['--help'])
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).toStartWith(`Usage: ${name} `)
    for (const text of ['--json', '--compose', 'Exit codes: 0', 'Examples:'])
      expect(out).toContain(text)
  })

  test(`${name} refuses what it does not know, and settings that are wrong, with exit code 2`, async () => {
    const unknown = await runScript(name, ['--frobnicate'])
    expect(unknown).toMatchObject({ out: '', code: 2 })
    expect(unknown.err).toContain('There is no option --frobnicate.')
    const wrong = await runScript(name, ['--yes'].slice(name.startsWith('configure') ? 0 : 1), {
      PORT: 'abc',
    })
    expect(wrong).toMatchObject({ out: '', code: 2 })
    expect(wrong.err).toContain('PORT must be')
    const missing = await runScript(name, [], { QUOTA_PROXY_BIN: '/nowhere/quota-proxy' })
    expect(missing).toMatchObject({ out: '', code: 2 })
    expect(missing.err).toContain('QUOTA_PROXY_BIN names no program')
  })
}

test('a database is found well while it is served, and after', async () => {
  const server = await startServer()
  await issueKey(server)
  const settings = settingsOf(server)
  const { out, code } = await runScript(VERIFY, [], settings)
  expect(code).toBe(0)
  expect(out).toMatch(/^ok {4}permissions {3}-rw-------: closed to others$/m)
  expect(out).toMatch(/^ok {4}journal {7}WAL mode; the log is there/m)
  expect(out).toMatch(/^ok {4}books {9}\d+ counters balance/m)
  const found = await report(VERIFY, [], settings)
  expect(found.findings.map(({ check }) => check)).toEqual([
    'file',
    'permissions',
    'journal',
    'schema',
  ])
  expect(found).toMatchObject({ ok: true, code: 0, doctor: { ok: true } })

  await server.stop()
  expect(await report(VERIFY, [], settings)).toMatchObject({
    ok: true,
    code: 0,
    doctor: { ok: true },
  })
})

test('a server elsewhere is asked about its database, with the token that was given and no other', async () => {
  const server = await startServer()
  const tokenFile = join(server.dataDir, 'admin-token')
  const at = ['--url', server.url]
  const found = await report(VERIFY, [...at, '--token-file', tokenFile])
  expect(found).toMatchObject({ ok: true, code: 0, findings: [], doctor: { ok: true } })
  expect((await runScript(VERIFY, at, { ADMIN_TOKEN: TOKEN })).code).toBe(1)
  await server.stop()
  expect((await runScript(VERIFY, at, { ADMIN_TOKEN: TOKEN })).code).toBe(1)
})

test('a database that is missing, in memory, open to others or damaged is found to be so', async () => {
  const server = await startServer()
  await issueKey(server)
  await server.stop()
  const settings = { DATA_DIR: server.dataDir }
  const path = join(server.dataDir, 'quota.db')

  expect(await report(VERIFY, [], { DATA_DIR: '/nowhere' })).toMatchObject({
    code: 1,
    wrong: ['file'],
  })
  expect(await report(VERIFY, [], { DATABASE_URL: ':memory:' })).toMatchObject({
    code: 1,
    wrong: ['file'],
  })
  chmodSync(path, 0o644)
  expect(await report(VERIFY, [], settings)).toMatchObject({
    ok: false,
    code: 1,
    wrong: ['permissions'],
  })
  chmodSync(path, 0o600)
  expect(await report(VERIFY, [], settings)).toMatchObject({ ok: true, code: 0 })

  const bytes = readFileSync(path)
  for (let at = 4096; at < bytes.length; at += 4096) bytes.fill(0xff, at, at + 16)
  const damaged = join(temporaryDirectory(), 'damaged.db')
  writeFileSync(damaged, bytes, { mode: 0o600 })
  const found = await report(VERIFY, [], { ...settings, DATABASE_URL: `file:${damaged}` })
  expect(found).toMatchObject({ ok: false, code: 1 })
  expect((await runScript(VERIFY, [], { ...settings, DATABASE_URL: `file:${damaged}` })).code).toBe(
    1,
  )

  const rollback = join(temporaryDirectory(), 'rollback.db')
  copyFileSync(path, rollback)
  const head = readFileSync(rollback)
  head.fill(1, 18, 20)
  writeFileSync(rollback, head)
  const old = await report(VERIFY, [], { ...settings, DATABASE_URL: `file:${rollback}` })
  expect(old.wrong).toContain('journal')
})

test('settings come from .env of the directory, and those of the environment win over it', async () => {
  const server = await startServer()
  const folder = join(temporaryDirectory(), 'with blanks')
  mkdirSync(folder)
  const data = join(folder, 'the data')
  mkdirSync(data)
  copyFileSync(join(server.dataDir, 'quota.db'), join(data, 'quota.db'))
  const file = (value: string) =>
    writeFileSync(join(folder, '.env'), `# DATA_DIR=/no\nPATH=/no\nOTHER-NAME=1\n${value}`)

  const lines = [
    `DATA_DIR="${data}" # where it is`,
    `  export DATA_DIR='${data}'`,
    'DATA_DIR=./the data   # where it is\n',
    'DATA_DIR=./the data',
  ]
  for (const line of lines) {
    file(line)
    const { out } = await runScript(VERIFY, [], {}, folder)
    expect(out).toMatch(/^ok {4}file {10}.*the data\/quota\.db$/m)
  }
  const { out } = await runScript(VERIFY, [], settingsOf(server), folder)
  expect(out).toContain(`${server.dataDir}/quota.db`)
  const missing = await runScript(VERIFY, ['--env-file', 'missing.env'], {}, folder)
  expect(missing).toMatchObject({ out: '', code: 2 })
})
