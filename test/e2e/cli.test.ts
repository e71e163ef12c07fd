/** The command line as a user meets it: a process of its own, from source or as the binary. */
import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { ROWS } from '../../src/config/options.ts'
import { runCommand } from '../support/command.ts'
import { testOfFiles } from '../support/engine.ts'
import { COMMAND, temporaryDirectory } from '../support/server.ts'

const TOKEN = '7f3c9a1e5b2d8064c7f3'

const run = (args: readonly string[], env?: Record<string, string>) =>
  runCommand([...COMMAND, ...args], env)

/** A server that gives every request the same answer, for as long as the test needs it. */
async function withServer<T>(
  answer: () => Response | Promise<Response>,
  use: (port: string) => Promise<T>,
  hostname = '127.0.0.1',
): Promise<T> {
  const server = Bun.serve({ hostname, port: 0, fetch: answer })
  try {
    return await use(String(server.port))
  } finally {
    await server.stop(true)
  }
}

for (const args of [
  [],
  ['serve'],
  ['healthcheck'],
  ['config'],
  ['secret', 'rotate'],
  ['version'],
]) {
  const name = ['quota-proxy', ...args].join(' ')
  test(`${name} --help explains itself on standard output with exit code 0`, async () => {
    const { out, err, code } = await run([...args, '--help'])
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).toStartWith(`Usage: ${name} [options]`)
  })
}

test('the general help names every command', async () => {
  const { out } = await run(['--help'])
  for (const name of ['serve', 'healthcheck', 'config', 'secret', 'version']) {
    expect(out).toMatch(new RegExp(`^ {2}${name}\\b`, 'm'))
  }
})

test('version, --version and -v print the same line', async () => {
  const printed = await Promise.all([['version'], ['--version'], ['-v']].map((args) => run(args)))
  for (const { out, err, code } of printed) {
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).toBe(printed[0]?.out ?? '')
  }
  expect(printed[0]?.out).toStartWith(`quota-proxy ${packageJson.version} (`)
})

testOfFiles('config prints one value alone, and never one that is secret', async () => {
  const env = { DATA_DIR: '/srv/quota', ADMIN_TOKEN: TOKEN }
  const value = (name: string) => run(['config', name], env)
  expect(await value('DATABASE_URL')).toEqual({
    out: 'file:/srv/quota/quota.db\n',
    err: '',
    code: 0,
  })
  expect(await value('BACKUP_SCHEDULE')).toEqual({ out: '\n', err: '', code: 0 })
  expect(await value('ADMIN_TOKEN')).toEqual({ out: '(set, hidden)\n', err: '', code: 0 })
  expect(await value('NOTHING')).toMatchObject({ out: '', code: 2 })
})

const MISUSES: readonly { args: string[]; says: string[] }[] = [
  { args: ['srve'], says: ["unknown command 'srve'", 'Did you mean serve?'] },
  { args: ['frobnicate'], says: ["unknown command 'frobnicate'"] },
  { args: ['config', '--jsn'], says: ["unknown option '--jsn'", 'Did you mean --json?'] },
  { args: ['--verison'], says: ["unknown option '--verison'", 'Did you mean --version?'] },
  { args: ['serve', 'now'], says: ['too many arguments'] },
  { args: ['help', 'frobnicate'], says: ["unknown command 'frobnicate'", 'lists all commands'] },
]

for (const { args, says } of MISUSES) {
  test(`quota-proxy ${args.join(' ')} is refused with exit code 2 and says why`, async () => {
    const { out, err, code } = await run(args)
    expect({ out, code }).toEqual({ out: '', code: 2 })
    for (const text of says) expect(err).toContain(text)
  })
}

for (const args of [[], ['serve'], ['config']]) {
  test(`quota-proxy ${args.join(' ')} names every configuration problem with exit code 2`, async () => {
    const { out, err, code } = await run(args, {
      PORT: 'abc',
      ADMIN_TOKEN: 'your-secure-admin-token-here',
      LOG_LEVLE: 'debug',
    })
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(err).toContain('PORT must be a whole number from 0 to 65535.')
    expect(err).toContain('ADMIN_TOKEN is a placeholder')
    expect(err).toContain('openssl rand -hex 32')
    expect(err).toContain('did you mean LOG_LEVEL?')
    expect(err).not.toContain('your-secure-admin-token-here')
  })
}

test('config shows every setting, warns about foreign names, and hides the admin token', async () => {
  const env = { ADMIN_TOKEN: TOKEN, PORT: '9000', QUOTA_PROXY_PORT: 'tcp://10.0.0.1:8787' }
  const table = await run(['config'], env)
  const json = await run(['config', '--json'], env)
  for (const { out, err, code } of [table, json]) {
    expect(code).toBe(0)
    expect(err).toBe(
      'warning: QUOTA_PROXY_PORT is not a setting and is ignored. Did you mean PORT?\n',
    )
    expect(out).toContain('(set, hidden)')
    expect(out).not.toContain(TOKEN)
  }
  const names = JSON.parse(json.out).settings.map((setting: { name: string }) => setting.name)
  expect(names).toEqual(ROWS.map(([, { env: name }]) => name))
})

test('a start that fails is one sentence without a stack, with exit code 1', async () => {
  const path = join(temporaryDirectory(), 'not-a-directory')
  writeFileSync(path, '')
  const { err, code } = await run(['serve'], { DATA_DIR: path, PORT: '0' })
  expect(code).toBe(1)
  expect(err).toContain(`quota-proxy: The data directory ${path} cannot be used`)
  expect(err).not.toMatch(/^\s+at /m)
})

test('healthcheck succeeds when the server answers 200 at /healthz', async () => {
  const asked: string[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      asked.push(`${request.method} ${new URL(request.url).pathname}`)
      return Response.json({ ok: true })
    },
  })
  const PORT = String(server.port)
  const { out, err, code } = await run(['healthcheck'], { PORT })
  await server.stop(true)
  expect({ err, code }).toEqual({ err: '', code: 0 })
  expect(out).toBe(`healthy: http://127.0.0.1:${PORT}/healthz answered 200\n`)
  expect(asked).toEqual(['GET /healthz'])
})

for (const [HOST, asked] of [
  ['0.0.0.0', '127.0.0.1'],
  ['::', '127.0.0.1'],
  ['::1', '[::1]'],
  ['localhost', 'localhost'],
] as const) {
  test(`healthcheck asks a server that listens on ${HOST} at ${asked}`, async () => {
    const answer = () => new Response('ok')
    const { out, err, code } = await withServer(
      answer,
      (PORT) => run(['healthcheck'], { PORT, HOST }),
      HOST,
    )
    expect({ err, code }).toEqual({ err: '', code: 0 })
    expect(out).toStartWith(`healthy: http://${asked}:`)
  })
}

test('healthcheck --wait asks again until the server answers, and no longer than it was told', async () => {
  const startedMs = performance.now()
  const waited = await withServer(
    () => new Response(null, { status: performance.now() - startedMs < 1_000 ? 503 : 200 }),
    (PORT) => run(['healthcheck', '--wait', '30'], { PORT }),
  )
  expect(waited).toMatchObject({ code: 0, err: '' })
  const failing = () => new Response(null, { status: 503 })
  const failed = await withServer(failing, (PORT) => run(['healthcheck', '--wait', '1'], { PORT }))
  expect(failed.code).toBe(1)
  expect(failed.err).toContain('answered 503')
  expect((await run(['healthcheck', '--wait', 'x'], {})).code).toBe(2)
})

test('healthcheck asks the server itself even where HTTP_PROXY is set', async () => {
  const { code } = await withServer(
    () => new Response('ok'),
    (PORT) => run(['healthcheck'], { PORT, HTTP_PROXY: 'http://127.0.0.1:1' }),
  )
  expect(code).toBe(0)
})

test('healthcheck fails on any other answer, a redirect included', async () => {
  for (const status of [204, 302, 404, 503]) {
    const answer = () => new Response(null, { status, headers: { location: '/elsewhere' } })
    const { err, code } = await withServer(answer, (PORT) => run(['healthcheck'], { PORT }))
    expect(code).toBe(1)
    expect(err).toContain(`answered ${status}`)
  }
})

test('healthcheck fails when nobody listens, and says so', async () => {
  const closed = await withServer(
    () => new Response(),
    async (port) => port,
  )
  const { out, err, code } = await run(['healthcheck'], { PORT: closed })
  expect({ out, code }).toEqual({ out: '', code: 1 })
  expect(err).toContain('refused the connection')
})

test('healthcheck gives up on a server that never answers', async () => {
  const { err, code } = await withServer(
    () => new Promise<Response>(() => {}),
    (PORT) => run(['healthcheck'], { PORT }),
  )
  expect(code).toBe(1)
  expect(err).toContain('gave no answer within 3000 ms')
}, 15_000)

test('healthcheck never exits with a code that Docker reserves', async () => {
  for (const PORT of ['abc', '0']) {
    const { err, code } = await run(['healthcheck'], { PORT })
    expect(code).toBe(1)
    expect(err).toContain('PORT')
  }
})
