/** Commands about the installation itself, what they refuse, and what must never come in or out. */

import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAuthority } from '../support/certificate.ts'
import { runCommand } from '../support/command.ts'
import { testOfFiles } from '../support/engine.ts'
import { COMMAND, issueKey, startServer, temporaryDirectory } from '../support/server.ts'

const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}, stdin?: string) =>
  runCommand([...COMMAND, ...args], env, undefined, stdin)

function file(text: string): string {
  const path = join(temporaryDirectory(), 'file')
  writeFileSync(path, text)
  return path
}

testOfFiles(
  'where there is no database, every command says so and makes none; --create makes it, for its owner alone',
  async () => {
    const DATA_DIR = join(temporaryDirectory(), 'new')
    for (const args of [
      ['keys', 'list'],
      ['usage'],
      ['upstreams', 'list'],
      ['migrate', '--status'],
      ['migrate'],
      ['keys', 'create', 'first', '--quota', '1'],
      ['keys', 'import', file('name,quota\nfirst,1\n')],
      ['upstreams', 'create', 'a', '--base-url', 'http://127.0.0.1:1'],
    ]) {
      const { out, err, code } = await run(args, { DATA_DIR })
      expect({ out, code }).toEqual({ out: '', code: 1 })
      expect(err).toContain('There is no database')
      expect(existsSync(DATA_DIR)).toBe(false)
    }
    const create = ['keys', 'create', 'first', '--quota', '1', '--json', '--create']
    const created = await run(create, { DATA_DIR })
    expect(created.code).toBe(0)
    expect(created.err).toContain('shown this once')
    expect(statSync(DATA_DIR).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(DATA_DIR))
      expect(statSync(join(DATA_DIR, name)).mode & 0o077).toBe(0)
    // A server finds it.
    const server = await startServer({}, DATA_DIR)
    const { key } = JSON.parse(created.out) as { key: string }
    const me = await fetch(`${server.url}/me`, { headers: { 'x-api-key': key } })
    expect(await me.json()).toMatchObject({ name: 'first' })
  },
)

testOfFiles(
  'a command without a server waits for another one, and refuses to work beside a server that has no socket',
  async () => {
    const DATA_DIR = join(temporaryDirectory(), 'data')
    await run(['keys', 'create', 'first', '--quota', '1', '--create'], { DATA_DIR })
    const names = ['a', 'b', 'c', 'd']
    const ended = await Promise.all(
      names.map((name) => run(['keys', 'create', name, '--quota', '1'], { DATA_DIR })),
    )
    expect(ended.map(({ code }) => code)).toEqual([0, 0, 0, 0])
    // As a server does that cannot have a socket.
    const lock = new Database(join(DATA_DIR, 'quota.db.lock'))
    lock.run('BEGIN EXCLUSIVE')
    const { out, err, code } = await run(['keys', 'list'], { DATA_DIR })
    lock.close()
    expect({ out, code }).toEqual({ out: '', code: 1 })
    expect(err).toContain('Another quota-proxy is already serving')
  },
  60_000,
)

test('the socket that a killed server has left behind is no server', async () => {
  const server = await startServer()
  const { id } = await issueKey(server)
  await server.stop('SIGKILL')
  expect(existsSync(join(server.dataDir, 'control.sock'))).toBe(true)
  const { out, code } = await run(['keys', 'show', id, '--json'], { DATA_DIR: server.dataDir })
  expect({ ...JSON.parse(out), code }).toMatchObject({ id, code: 0 })
})

test('--url sends the token of the operator over verified https, and to nobody else', async () => {
  const { server, ca, seen } = await tlsServer()
  const url = `https://localhost:${server.port}`
  const token = 'f00dcafe5b2d8064c7f3aa11'
  const trusted = await run(['keys', 'list', '--url', url, '--cacert', ca, '--json'], {
    ADMIN_TOKEN: token,
  })
  expect(trusted).toEqual({ out: '[]\n', err: '', code: 0 })
  expect(seen).toEqual([`Bearer ${token}`])
  const stranger = await run(['keys', 'list', '--url', url], { ADMIN_TOKEN: token })
  expect(stranger).toMatchObject({ out: '', code: 1 })
  expect(stranger.err).toContain('cannot be reached')
  expect(stranger.err).toContain('add --cacert')
  expect(seen).toHaveLength(1)
  await server.stop(true)
})

async function tlsServer() {
  const authority = await createAuthority()
  const { cert, key } = await authority.issue('DNS:localhost')
  const seen: (string | null)[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert, key },
    fetch(request) {
      seen.push(request.headers.get('authorization'))
      return Response.json({ object: 'list', data: [], has_more: false, next: null })
    },
  })
  return { server, ca: authority.env.NODE_EXTRA_CA_CERTS, seen }
}

test('a redirect is not followed, and what is not a quota-proxy is said to be none', async () => {
  const answers = [
    () => Response.redirect('http://127.0.0.1:1/', 302),
    () => new Response('<html>', { status: 404 }),
    () => new Response('<html>'),
    () => Response.json({ hello: 'world' }),
  ]
  for (const fetch of answers) {
    const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch })
    const url = `http://127.0.0.1:${server.port}`
    const { out, err, code } = await run(['keys', 'list', '--url', url], {
      ADMIN_TOKEN: '7f3c9a1e5b2d8064c7f3',
    })
    await server.stop(true)
    expect({ out, code }).toEqual({ out: '', code: 1 })
    expect(err).toMatch(/answered 302: give --url|is not the admin API of a quota-proxy/)
  }
})

const WRONG: readonly { args: string[]; says: string }[] = [
  { args: ['keys', 'list', '--url', 'ftp://x'], says: '--url must be http or https' },
  { args: ['keys', 'list', '--url', 'http://user:pass@x'], says: '--url must be http or https' },
  { args: ['keys', 'list', '--url', 'http://127.0.0.1:1'], says: '--token-file, or ADMIN_TOKEN' },
  { args: ['keys', 'list', '--token-file', 'x'], says: 'for a server that --url names' },
  { args: ['keys', 'list', '--limit', '0'], says: 'a whole number from 1' },
  { args: ['keys', 'list', '--status', 'gone'], says: 'Allowed choices are active' },
  { args: ['keys', 'show'], says: "missing required argument 'key'" },
  { args: ['keys', 'show', 'trial_Ab3dK8sLq0ZyXw2VtUr5PnMb7HgFeDx9ZkQm'], says: 'arguments can be seen' },
  { args: ['keys', 'create', 'x'], says: "required option '--quota <number>' not specified" },
  { args: ['keys', 'create', 'x', '--quota', 'many'], says: 'or "unlimited"' },
  { args: ['keys', 'create', 'x', '--quota', '1', '--expires', 'soon'], says: '--expires must be' },
  { args: ['keys', 'create', 'x', '--quota', '1', '--limit', 'tokens'], says: 'tokens=100000/day' },
  { args: ['keys', 'create', 'x', '--quota', '1', '--metadata', '{'], says: 'not valid JSON' },
  { args: ['keys', 'create', 'x', '--quota', '1', '--fields', '/none'], says: 'There is no file' },
  { args: ['keys', 'update', 'key_1'], says: 'nothing to change' },
  { args: ['keys', 'rotate', 'key_1', '--grace', '5'], says: 'must be a duration' },
  { args: ['keys', 'credit', 'key_1', 'much'], says: 'a whole number' },
  { args: ['usage', '--json', '--csv'], says: 'Choose one of' },
  { args: ['calls', 'call_1', '--all'], says: 'no other option is of use' },
  { args: ['upstreams', 'create', 'x'], says: "required option '--base-url <url>'" },
  { args: ['top', '--interval', '0'], says: 'from 0.5' },
  { args: ['keys', 'lst'], says: 'Did you mean list?' },
] // biome-ignore format: one line each

test('wrong usage is exit code 2 and says what is right, and nothing is made', async () => {
  const DATA_DIR = join(temporaryDirectory(), 'data')
  for (const { args, says } of WRONG) {
    const { out, err, code } = await run(args, { DATA_DIR })
    expect({ args, out, code }).toEqual({ args, out: '', code: 2 })
    expect(err).toContain(says)
    expect(err).not.toContain('Ab3dK8sLq0ZyXw2VtUr5PnMb7HgFeDx9ZkQm')
  }
  expect(existsSync(DATA_DIR)).toBe(false)
}, 60_000)

test('a new admin token is taken by the running server, the old one is refused, and neither is printed', async () => {
  const server = await startServer()
  const path = join(server.dataDir, 'admin-token')
  const { out, err, code } = await run(['token', 'rotate', '--yes'], { DATA_DIR: server.dataDir })
  const token = readFileSync(path, 'utf8').trim()
  expect({ out, code }).toEqual({ out: `The new admin token is in ${path}.\n`, code: 0 })
  expect(err).toContain('The running server takes it')
  expect(token).not.toBe(server.adminToken)
  for (const secret of [token, server.adminToken]) expect(out + err).not.toContain(secret)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect((await server.admin('GET', '/admin/keys')).status).toBe(401)
  const answer = await fetch(`${server.url}/admin/keys`, {
    headers: { authorization: `Bearer ${token}` },
  })
  expect(answer.status).toBe(200)
  // Without a server it is there for the next start.
  await server.stop()
  const again = await run(['token', 'rotate', '--yes', '--json'], { DATA_DIR: server.dataDir })
  expect(JSON.parse(again.out)).toEqual({ path, running: false, taken: false })
  expect(readFileSync(path, 'utf8').trim()).not.toBe(token)
}, 30_000)

test('a token that the operator gives is left alone', async () => {
  const DATA_DIR = temporaryDirectory()
  const token = '7f3c9a1e5b2d8064c7f3'
  for (const env of [{ ADMIN_TOKEN: token }, { ADMIN_TOKEN_FILE: file(token) }]) {
    const { out, err, code } = await run(['token', 'rotate', '--yes'], { DATA_DIR, ...env })
    expect({ out, code }).toEqual({ out: '', code: 1 })
    expect(err).toContain('is given by you')
    expect(err).not.toContain(token)
  }
  expect(readdirSync(DATA_DIR)).toEqual([])
})

testOfFiles(
  'migrate says what a database has and lacks, applies it, and refuses beside a server',
  async () => {
    const server = await startServer()
    const env = { DATA_DIR: server.dataDir }
    const fits = await run(['migrate', '--status', '--json'], env)
    const all = JSON.parse(fits.out) as { name: string; state: string; applied_at: string | null }[]
    expect(fits.code).toBe(0)
    expect(all.length).toBeGreaterThan(1)
    expect(all.every(({ state, applied_at }) => state === 'applied' && applied_at)).toBe(true)
    const refused = await run(['migrate'], env)
    expect(refused).toMatchObject({ out: '', code: 1 })
    expect(refused.err).toContain('already serving')
    await server.stop()
    expect(await run(['migrate'], env)).toMatchObject({
      out: 'There was nothing to do.\n',
      code: 0,
    })

    // A database that has nothing yet, and one from a version that is yet to come.
    const DATA_DIR = temporaryDirectory()
    new Database(join(DATA_DIR, 'quota.db')).close()
    const empty = await run(['migrate', '--status'], { DATA_DIR })
    expect(empty.code).toBe(1)
    expect(empty.out.match(/pending/g)).toHaveLength(all.length)
    const applied = await run(['migrate', '--json'], { DATA_DIR })
    expect(JSON.parse(applied.out)).toEqual({ migrated: all.map(({ name }) => name) })
    const database = new Database(join(DATA_DIR, 'quota.db'))
    database.run("INSERT INTO schema_migrations VALUES ('9999_later', 'x', 0)")
    database.close()
    const later = await run(['migrate', '--status'], { DATA_DIR })
    expect(later).toMatchObject({ out: expect.stringMatching(/9999_later +unknown/), code: 1 })
    expect(await run(['migrate'], { DATA_DIR })).toMatchObject({ code: 1 })
  },
  60_000,
)

test('doctor examines a server elsewhere', async () => {
  const server = await startServer()
  const token = file(server.adminToken)
  const args = ['doctor', '--url', server.url, '--token-file', token]
  const { out, err, code } = await run([...args, '--json'])
  expect({ err, code }).toEqual({ err: '', code: 0 })
  expect(JSON.parse(out)).toMatchObject({ ok: true })
  expect((await run(args)).out).toMatch(/^ok +books/m)
}, 30_000)

test('importing issues a key for each row, checks all of them first, and a failure says where to go on', async () => {
  const DATA_DIR = join(temporaryDirectory(), 'data')
  mkdirSync(DATA_DIR)
  const good = file(
    '\ufeffname,quota,expires_at,tags,key\r\n"Doe, ""Jane""",100,2099-01-01T00:00:00Z,a;b,\r\n\r\nBob,unlimited,,,legacy-key-0123456789\r\n',
  )
  const dry = await run(['keys', 'import', good, '--dry-run'], { DATA_DIR })
  expect(dry).toMatchObject({ out: '', err: '2 keys could be issued.\n', code: 0 })
  expect(readdirSync(DATA_DIR)).toEqual([])
  const done = await run(['keys', 'import', good, '--create'], { DATA_DIR })
  expect(done.code).toBe(0)
  expect(done.out).toMatch(
    /^line,id,name,key\n2,key_\w+,"Doe, ""Jane""",trial_\w{36}\n4,key_\w+,Bob,legacy-key-0123456789\n$/,
  )
  const listed = await run(['keys', 'list', '--json'], { DATA_DIR })
  expect(JSON.parse(listed.out)).toMatchObject([
    { name: 'Bob', quota: null },
    { name: 'Doe, "Jane"', quota: 100, tags: ['a', 'b'], expires_at: '2099-01-01T00:00:00Z' },
  ])

  const bad = await run(['keys', 'import', '-'], { DATA_DIR }, 'name,quota\nok,1\n,2\nx,many\n')
  expect(bad).toMatchObject({ out: '', code: 1 })
  expect(bad.err).toMatch(
    /line 3: .*\n {2}- name .*\nline 4: .*\n {2}- quota .*\nNothing was issued\./,
  )
  const twice = 'name,quota,key\nnew,1,\nBob again,1,legacy-key-0123456789\nlast,1,\n'
  const half = await run(['keys', 'import', '-', '--json'], { DATA_DIR }, twice)
  expect(half.code).toBe(1)
  expect(JSON.parse(half.out)).toMatchObject([{ line: 2, name: 'new' }])
  expect(half.err).toContain('go on with --from-line 3')
  expect(half.err).toContain('key_already_exists')
  const rest = await run(['keys', 'import', '-', '--from-line', '4', '--json'], { DATA_DIR }, twice)
  expect(JSON.parse(rest.out)).toMatchObject([{ line: 4, name: 'last' }])
  for (const [text, says] of [
    ['name;quota\nx;1', 'must name the columns'],
    ['name,quota\n"x,1', 'not valid CSV'],
    ['name,quota\nx,1,2', 'more cells'],
    ['[{"name":', 'not valid JSON'],
    ['[1]', 'not a JSON object'],
    ['name,quota\n', 'no keys'],
  ] as const) {
    const { out, err, code } = await run(['keys', 'import', '-'], { DATA_DIR }, text)
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(err).toContain(says)
  }
}, 60_000)

test('what was exported is imported with the same settings, and other secrets', async () => {
  const from = join(temporaryDirectory(), 'from')
  const to = join(temporaryDirectory(), 'to')
  const args = [
    'keys',
    'create',
    'Ada',
    '--quota',
    '5',
    '--window',
    'week',
    '--week-start',
    'sunday',
  ]
  await run(
    [
      ...args,
      '--create',
      '--limit',
      'tokens=9/hour',
      '--paths',
      '/a/**',
      '--expires',
      '2099-01-01',
    ],
    {
      DATA_DIR: from,
    },
  )
  const exported = await run(['keys', 'export'], { DATA_DIR: from })
  await run(['keys', 'import', '-', '--create'], { DATA_DIR: to }, exported.out)
  expect((await run(['keys', 'export'], { DATA_DIR: to })).out).toBe(exported.out)
  expect(exported.out).not.toMatch(/trial_|key_/)
}, 30_000)

test('a long list reaches a slow reader whole, and a reader that leaves is no failure to wait for', async () => {
  const DATA_DIR = join(temporaryDirectory(), 'data')
  const rows = Array.from({ length: 300 }, (_, i) => ({
    name: `${i} ${'x'.repeat(190)}`,
    quota: 1,
  }))
  await run(['keys', 'import', '-', '--create'], { DATA_DIR }, JSON.stringify(rows))
  const command = [...COMMAND, 'keys', 'list', '--json'].map((word) => `'${word}'`).join(' ')
  const slow = await runCommand(['sh', '-c', `${command} | (sleep 1; cat)`], { DATA_DIR })
  expect(JSON.parse(slow.out)).toHaveLength(300)
  // In one piece, and larger than a pipe.
  const large = JSON.stringify({ metadata: { text: 'x'.repeat(200_000) } })
  const path = file(large)
  const create = ['keys', 'create', 'large', '--quota', '1', '--fields', path, '--json']
  const line = [...COMMAND, ...create].map((word) => `'${word}'`).join(' ')
  const piece = await runCommand(['sh', '-c', `${line} | (sleep 1; cat)`], { DATA_DIR })
  expect(JSON.parse(piece.out)).toMatchObject({
    name: 'large',
    metadata: { text: 'x'.repeat(200_000) },
  })
  const gone = await runCommand(['sh', '-c', `${command} | head -c 10`], { DATA_DIR })
  expect(gone).toMatchObject({ out: expect.stringMatching(/^\[/), code: 0 })
}, 60_000)
