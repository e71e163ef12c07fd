/** The script that sees to it that the database lasts: what it finds, and what comes of what it changes. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../support/command.ts'
import { report, runScript, SCRIPTS, settingsOf } from '../support/scripts.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'

/** A script is a dozen processes, each done within a second on a machine with nothing else to do. */
setDefaultTimeout(60_000)

const PERSISTENCE = 'configure-sqlite-persistence.sh'

/** What these directories lie on is up to the machine; in a container it may be one that does not last. */
const LASTS = !/^(?:tmpfs|overlay)/.test(
  (await runCommand(['stat', '-f', '-c', '%T', temporaryDirectory()])).out,
)

test('where the database lies is checked', async () => {
  const server = await startServer()
  const settings = settingsOf(server)
  const well = await report(PERSISTENCE, ['--check'], settings)
  expect(well.findings.map(({ check }) => check)).toEqual([
    'database',
    'directory',
    'filesystem',
    'disk',
    'durability',
  ])
  expect(well).toMatchObject({ ok: LASTS, code: LASTS ? 0 : 1, wrong: LASTS ? [] : ['filesystem'] })

  const memory = await report(PERSISTENCE, ['--check'], { DATABASE_URL: ':memory:' })
  expect(memory).toMatchObject({ ok: false, code: 1, wrong: ['database'] })
  const missing = await report(PERSISTENCE, ['--check'], { DATA_DIR: '/nowhere' })
  expect(missing).toMatchObject({ ok: false, code: 1, wrong: ['database', 'directory'] })
  const { out, code } = await runScript(PERSISTENCE, ['--check'], {
    ...settings,
    DURABILITY: 'full',
  })
  expect(code).toBe(LASTS ? 0 : 1)
  expect(out).toMatch(/^ok {4}durability {4}full: answered calls survive a power cut$/m)
})

test.skipIf(!existsSync('/dev/shm'))(
  'memory that looks like a disk is no place for a database (needs /dev/shm)',
  async () => {
    const kind = (await runCommand(['stat', '-f', '-c', '%T', '/dev/shm'])).out
    expect(kind).toBe('tmpfs\n')
    const { wrong, code } = await report(PERSISTENCE, ['--check'], {
      DATABASE_URL: 'file:/dev/shm/quota.db',
    })
    expect(code).toBe(1)
    expect(wrong).toContain('filesystem')
  },
)

test('a directory that cannot be written to is found out', async () => {
  const directory = temporaryDirectory()
  const isRoot = process.getuid?.() === 0
  chmodSync(directory, isRoot ? 0o755 : 0o555)
  // Root may write anywhere, so that somebody else has to try.
  const nobody = isRoot ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : []
  const program = join(temporaryDirectory(), 'quota-proxy')
  writeFileSync(program, `#!/bin/sh\nprintf 'file:${directory}/quota.db\\n'\n`)
  for (const path of [program, join(program, '..')]) chmodSync(path, 0o755)
  // It only has to say where the database is: the one of these tests may lie where nobody else can read.
  const { out, code } = await runCommand(
    [...nobody, 'dash', join(SCRIPTS, PERSISTENCE), '--check'],
    { QUOTA_PROXY_BIN: program },
    '/',
  )
  expect(code).toBe(1)
  expect(out).toMatch(
    new RegExp(`^FAIL {2}directory {5}user \\d+ cannot write to ${directory}`, 'm'),
  )
})

test('a database in memory becomes one that outlives the server', async () => {
  const data = join(temporaryDirectory(), 'data')
  mkdirSync(data)
  const folder = temporaryDirectory()
  const text = () => readFileSync(join(folder, '.env'), 'utf8')
  writeFileSync(join(folder, '.env'), `DATABASE_URL=:memory:\nDATA_DIR=${data}\n`)
  const { code } = await runScript(PERSISTENCE, ['--durability', 'full', '--yes'], {}, folder)
  expect(code).toBe(0)
  const url = `file:${data}/quota.db`
  expect(text()).toBe(`DATABASE_URL=${url}\nDATA_DIR=${data}\nDURABILITY=full\n`)

  const settings = { CONFIG_FILE: join(folder, '.env') }
  const first = await startServer(settings, data)
  const { id } = await issueKey(first)
  await first.stop('SIGKILL')
  const second = await startServer(settings, data)
  expect((await second.admin('GET', `/admin/keys/${id}`)).status).toBe(200)
  const checked = await report(PERSISTENCE, ['--check'], {}, folder)
  expect(checked.wrong).toEqual(LASTS ? [] : ['filesystem'])
  expect(await report(PERSISTENCE, ['--yes'], {}, folder)).toMatchObject({ ok: true, code: 0 })
  expect(text()).toBe(`DATABASE_URL=${url}\nDATA_DIR=${data}\nDURABILITY=full\n`)

  const wrong = await runScript(PERSISTENCE, ['--database-url', ':memory:', '--yes'], {}, folder)
  expect(wrong).toMatchObject({ out: '', code: 2 })
})
