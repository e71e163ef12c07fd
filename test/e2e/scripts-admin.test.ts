/** The script that tries the admin API out, on real servers, and on one that is none. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { report, runScript, SCRIPTS, settingsOf, writeProgram } from '../support/scripts.ts'
import { issueKey, startServer, temporaryDirectory } from '../support/server.ts'
import { settledLogs } from '../support/settled-logs.ts'

/** A script is a dozen processes, each done within a second on a machine with nothing else to do. */
setDefaultTimeout(60_000)

const TRY = 'test-admin-interface.sh'
const TOKEN = '7f3c9a1e5b2d8064c7f3'

test('the admin API is tried out, and nothing is left of it', async () => {
  const server = await startServer({ ADMIN_TOKEN: TOKEN })
  const { id } = await issueKey(server)
  const settings = { ...settingsOf(server), ADMIN_TOKEN: TOKEN }
  const checks = ['no-token', 'wrong-token', 'create', 'list', 'show', 'secret', 'usage', 'delete']
  const found = await report(TRY, [], settings)
  expect(found).toMatchObject({ ok: true, code: 0 })
  expect(found.findings.map(({ check }) => check)).toEqual(checks)
  const text = await runScript(TRY, [], settings)
  expect(text).toMatchObject({ err: '', code: 0 })

  expect(await keysOf(server)).toEqual([id])
  const logs = await settledLogs(server)
  expect(logs + text.out).not.toContain(TOKEN)
  expect(logs + text.out).not.toMatch(/trial_[0-9a-f]{32}/)
})

test('it takes the token that the server has made, from the data directory', async () => {
  const server = await startServer()
  expect(await report(TRY, [], settingsOf(server))).toMatchObject({ ok: true, code: 0 })
  const wrong = { ...settingsOf(server), ADMIN_TOKEN: TOKEN }
  expect(await report(TRY, [], wrong)).toMatchObject({ ok: false, code: 1, wrong: ['create'] })
  expect(await keysOf(server)).toEqual([])
  await server.stop()
  expect(await report(TRY, [], settingsOf(server))).toMatchObject({ code: 1, wrong: ['server'] })
})

test('an admin API that lets everybody in is found out', async () => {
  const open = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => Response.json({ data: [] }),
  })
  try {
    const { code, wrong } = await report(TRY, ['--url', open.url.href], { ADMIN_TOKEN: TOKEN })
    expect(code).toBe(1)
    expect(wrong.slice(0, 2)).toEqual(['no-token', 'wrong-token'])
  } finally {
    await open.stop(true)
  }
})

test('a trial that is interrupted takes its key away', async () => {
  const server = await startServer({ ADMIN_TOKEN: TOKEN })
  const reached = join(temporaryDirectory(), 'reached')
  const slow = writeProgram('quota-proxy', `[ "$2" != list ] || { touch '${reached}'; sleep 60; }`)
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const child = Bun.spawn(['dash', join(SCRIPTS, TRY)], {
      cwd: temporaryDirectory(),
      env: {
        PATH: process.env['PATH'] ?? '',
        ...settingsOf(server),
        ADMIN_TOKEN: TOKEN,
        QUOTA_PROXY_BIN: slow,
      },
      stdio: ['ignore', 'ignore', 'ignore'],
      // A group of its own, as in a terminal, where Ctrl-C reaches every process of it.
      detached: true,
    })
    while (!existsSync(reached) && child.exitCode === null) await Bun.sleep(20)
    expect(await keysOf(server)).toHaveLength(1)
    process.kill(-child.pid, signal)
    expect(await child.exited).toBe(code)
    expect(await keysOf(server)).toEqual([])
    await Bun.file(reached).delete()
  }
})

async function keysOf(server: Awaited<ReturnType<typeof startServer>>): Promise<string[]> {
  const { data } = (await (await server.admin('GET', '/admin/keys')).json()) as {
    data: { id: string }[]
  }
  return data.map(({ id }) => id)
}
