/**
 * The session of the README, run as a reader would run it: pasted whole into a shell, against a real server. Only what
 * belongs to the reader's machine is put in: the ports, the folder of the data, and which Bun.
 */
import { expect, test } from 'bun:test'
import { runSession } from '../support/document-session.ts'
import { readDocument, sessionOf } from '../support/markdown.ts'
import { startServer } from '../support/server.ts'

/** The upstream of the session; the server must be told of it before it is started. */
const UPSTREAM = '127.0.0.1:9000'

/** A second when nothing else runs; curl may have to wait for the upstream for twenty. */
const SESSION_MS_MAX = 30_000

test(
  'the session of the README prints what the README shows',
  async () => {
    const { commands, output } = sessionOf(await readDocument('README.md'))
    const upstream = freePort()
    const server = await startServer({ PROXY_EGRESS_ALLOW: UPSTREAM.replace('9000', upstream) })

    const script = [
      ['npx --prefer-offline -y bun@1.4.5', `'${process.execPath}'`],
      ['http://localhost:8787', server.url],
      ['data/admin-token', `'${server.dataDir}/admin-token'`],
      ['9000', upstream],
    ].reduce((text, [shown = '', real = '']) => {
      expect(text).toContain(shown)
      return text.replaceAll(shown, real)
    }, commands)
    const shell = Bun.spawn(['bash', '-c', script], {
      stdout: 'pipe',
      stderr: 'pipe',
      // A group of its own, so that nothing outlives a session that fails to end what it began.
      detached: true,
    })
    let outlived = false
    const watchdog = setTimeout(() => {
      outlived = true
      process.kill(-shell.pid, 'SIGKILL')
    }, SESSION_MS_MAX)
    // Ends when nothing is left that could still print, the upstream included.
    const printed = await new Response(shell.stdout).text()
    clearTimeout(watchdog)

    expect(outlived).toBeFalse()
    expect(await new Response(shell.stderr).text()).toBe('')
    expect(printed.replaceAll('\r', '')).toMatch(asPattern(output))
    expect(await shell.exited).toBe(0)
  },
  2 * SESSION_MS_MAX,
)

test('the first terminal of the README allows the upstream of the second', async () => {
  const readme = await readDocument('README.md')
  expect(readme).toContain(
    `\nPROXY_EGRESS_ALLOW=${UPSTREAM} npx --prefer-offline -y bun@1.4.5 run start\n`,
  )
  expect(sessionOf(readme).commands).toContain(`"endpoint": "http://${UPSTREAM}/"`)
})

test(
  'the commands for operators can be typed in as they stand',
  async () => {
    const [, section = ''] = (await readDocument('README.md')).split('\n## Operate it\n')
    const commands = /^```bash\n(.*?)^```$/ms.exec(section)?.[1] ?? ''
    expect(commands).toContain('quota-proxy keys create')
    const { ran, problem } = await runSession([{ commands, output: null }])
    expect(problem).toBe('')
    expect(ran[0]?.printed).toMatch(/key +trial_\w{36}\n(.*\n)+.*deepseek(.*\n)+ok +books/)
  },
  2 * SESSION_MS_MAX,
)

/** `…` stands for anything within a line, and for any lines where it stands alone. */
function asPattern(output: string): RegExp {
  const lines = output.split('\n').map((line) =>
    line === '…'
      ? '(?:.*\n)*?.*'
      : line
          .split('…')
          .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
          .join('.*'),
  )
  return new RegExp(`^${lines.join('\n')}$`)
}

function freePort(): string {
  const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
  const { port } = server
  void server.stop(true)
  return String(port)
}
