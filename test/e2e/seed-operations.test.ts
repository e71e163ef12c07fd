/**
 * The user guide's sections on operation and trouble, typed in as they stand, in the folder of a reader beside a running
 * server. Only what is a reader's own is filled in: address, token and the path of the data. There is no compose here:
 * `docker compose logs` is the file that the server's output goes to. What asks is answered in a terminal.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runCommand } from '../support/command.ts'
import { ROOT } from '../support/markdown.ts'
import { answerInTerminal, PROGRAM } from '../support/scripts.ts'
import { issueKey, startServer, type TestServer, temporaryDirectory } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

/** A script is a dozen processes, each done within a second on a machine with nothing else to do. */
setDefaultTimeout(60_000)

const GUIDE = {
  status: './scripts/verify-sqlite-status.sh',
  admin: './scripts/test-admin-interface.sh',
  backups: './scripts/check-server-backup-status.sh',
  summary: './scripts/backup-status-summary.sh',
  backUp: './scripts/backup-database.sh',
  automatic: './scripts/configure-backup-alerts.sh',
  logs: 'docker compose logs quota-proxy',
  port: 'netstat -tlnp | grep 8787',
  token: 'echo $ADMIN_TOKEN',
  header: `curl -v http://localhost:8787/admin/keys \\
  -H "Authorization: Bearer $ADMIN_TOKEN"`,
  file: 'ls -la /data/quota.db',
  integrity: 'sqlite3 /data/quota.db "PRAGMA integrity_check;"',
  help: './scripts/verify-sqlite-status.sh --help',
  persistence: './scripts/configure-sqlite-persistence.sh --check',
}

type Step = keyof typeof GUIDE

const TOKEN = '7f3c9a1e5b2d8064c7f3'

async function start(env: Record<string, string> = {}) {
  const server = await startServer({ ADMIN_TOKEN: TOKEN, ...env })
  const folder = temporaryDirectory()
  for (const name of ['scripts', 'deploy', 'docs'])
    symlinkSync(join(ROOT, name), join(folder, name))
  const { port } = new URL(server.url)
  writeFileSync(
    join(folder, '.env'),
    `ADMIN_TOKEN=${TOKEN}\nPORT=${port}\nDATA_DIR=${server.dataDir}\nDATABASE_URL=file:${server.dataDir}/quota.db\n`,
  )
  return { server, folder, guide: (step: Step) => run(step, server, folder) }
}

function run(step: Step, server: TestServer, folder: string) {
  const log = join(folder, 'server.log')
  writeFileSync(log, server.logs())
  const text = GUIDE[step]
    .replace('docker compose logs quota-proxy', `cat ${log}`)
    .replaceAll('http://localhost:8787', server.url)
    .replaceAll('8787', new URL(server.url).port)
    .replaceAll('/data/quota.db', `${server.dataDir}/quota.db`)
  // Debian keeps netstat where only root looks for it by itself.
  const path = `${dirname(PROGRAM)}:${process.env['PATH']}:/usr/sbin:/sbin`
  const env = { PATH: path, ...(/TOKEN/.test(text) && { ADMIN_TOKEN: server.adminToken }) }
  return runCommand(['sh', '-c', text], env, folder)
}

test('section 5: the scripts check, try out, back up and turn on what the guide says', async () => {
  const { server, folder, guide } = await start()
  await issueKey(server)

  const status = await guide('status')
  expect(status).toMatchObject({ err: '', code: 0 })
  expect(status.out).toContain('the file is whole')
  const admin = await guide('admin')
  expect(admin).toMatchObject({ err: '', code: 0 })
  expect(admin.out).toContain('it was deleted, and is gone')
  expect((await guide('backups')).code).toBe(1)
  expect((await guide('summary')).out).toStartWith('FAIL | 0 kept')

  const made = await guide('backUp')
  expect(made).toMatchObject({ err: '', code: 0 })
  expect(existsSync(made.out.split('\n')[0] ?? '')).toBe(true)
  expect(await guide('backups')).toMatchObject({ err: '', code: 0 })
  expect((await guide('summary')).out).toStartWith('ok | 1 kept')

  const env = { PATH: `${dirname(PROGRAM)}:${process.env['PATH']}` }
  const { shown, code } = await answerInTerminal(GUIDE.automatic, 'y', env, folder)
  expect({ shown, code }).toMatchObject({ shown: expect.stringContaining('17 3 * * *'), code: 0 })
  expect(await Bun.file(join(folder, '.env')).text()).toContain('\nBACKUP_SCHEDULE="17 3 * * *"\n')
})

const hasTools =
  Bun.which('sqlite3') !== null && (Bun.which('netstat') ?? existsSync('/bin/netstat'))

test.skipIf(!hasTools)(
  'section 6: every look at a running server finds it well and harms nothing (needs sqlite3 and netstat)',
  async () => {
    const upstream = startUpstream()
    const { server, guide } = await start({ PROXY_EGRESS_ALLOW: upstream.host })
    const { key, id } = await issueKey(server)
    const call = async () => {
      const response = await server.call(key, { endpoint: `${upstream.url}/v1/chat` })
      await response.text()
      return response.status
    }
    expect(await call()).toBe(200)

    expect((await guide('logs')).out).toContain('is listening on')
    const port = await guide('port')
    expect(port.code).toBe(0)
    expect(port.out).toContain('LISTEN')
    expect((await guide('token')).out).toBe(`${server.adminToken}\n`)
    const header = await guide('header')
    expect(header.code).toBe(0)
    expect(header.err).toContain('HTTP/1.1 200')
    expect(JSON.parse(header.out)).toMatchObject({ data: [{ id }] })
    expect((await guide('file')).out).toMatch(/^-rw------- /)

    // The tool is another build of SQLite, and opens the database while calls are written to it.
    const calls = Array.from({ length: 50 }, call)
    for (let i = 0; i < 5; i++)
      expect(await guide('integrity')).toEqual({ out: 'ok\n', err: '', code: 0 })
    expect(new Set(await Promise.all(calls))).toEqual(new Set([200]))
    expect(await call()).toBe(200)
    expect(await (await server.admin('GET', `/admin/keys/${id}`)).json()).toMatchObject({
      used: 52,
    })
    expect((await guide('status')).code).toBe(0)

    expect((await guide('help')).out).toStartWith('Usage: verify-sqlite-status.sh ')
    const persistence = await guide('persistence')
    expect(persistence.err).toBe('')
    expect(persistence.out).toMatch(/^ok {4}directory /m)
  },
)

test.skipIf(!hasTools)(
  'section 6: what the guide looks for is seen when it is so (needs sqlite3 and netstat)',
  async () => {
    const { server, guide } = await start()
    const wrong = await runCommand(
      ['sh', '-c', GUIDE.header.replace('http://localhost:8787', server.url)],
      { ADMIN_TOKEN: 'not-the-token' },
    )
    expect(wrong.err).toContain('HTTP/1.1 401')
    const taken = await startFailing(server)
    expect(taken).toContain('in use')
    await server.stop()
    expect((await guide('port')).code).toBe(1)
  },
)

/** What a second server on the same port says; the guide has it looked up in the log. */
async function startFailing(server: TestServer): Promise<string> {
  const { PORT, DATA_DIR } = { PORT: new URL(server.url).port, DATA_DIR: temporaryDirectory() }
  const { out, err, code } = await runCommand([PROGRAM, 'serve'], { PORT, DATA_DIR })
  expect(code).toBe(1)
  return out + err
}
