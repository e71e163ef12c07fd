/** What keeps a server from starting is said in one sentence that says what to do, without the password, and in time. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startProblem, versionProblem } from '../../src/db/postgres/connect/start-problem.ts'
import { Connection, Pool } from '../../src/db/postgres/connection.ts'
import { readDatabaseUrl } from '../../src/domain/database-url.ts'
import { StoreFailure } from '../../src/domain/store.ts'
import { AppError } from '../../src/errors.ts'
import { runCommand } from '../support/command.ts'
import { hasPgbouncer, startPgbouncer } from '../support/pgbouncer.ts'
import { type PostgresServer, START_MS_MAX, sharedPostgres, sql } from '../support/postgres.ts'
import {
  PASSWORD,
  type SecurePostgres,
  securePostgres,
  WRONG_HOST,
} from '../support/secure-postgres.ts'
import { COMMAND, temporaryDirectory } from '../support/server.ts'

let postgres: SecurePostgres
/** It speaks no TLS. */
let plain: PostgresServer
const stops: (() => unknown)[] = []

beforeAll(async () => {
  ;[postgres, plain] = await Promise.all([securePostgres(), sharedPostgres()])
}, START_MS_MAX)
afterAll(() => Promise.all(stops.map((stop) => stop())))

/** Room enough on a busy machine; who is silent takes all of it. */
const PATIENCE = { connectMs: 1_500 }

/** What the connection and the pool say to a first question, which must be the same. */
async function problemOf(url: string, text = 'SELECT 1'): Promise<string> {
  const parsed = readDatabaseUrl(url)
  if (parsed.kind !== 'postgres') throw new Error('not a URL of PostgreSQL')
  const { addresses } = parsed
  const said = await Promise.all(
    [() => new Connection(addresses, PATIENCE), () => new Pool(addresses, PATIENCE)].map(
      async (open) => {
        try {
          const one = open()
          try {
            await one.query(text)
            return 'none'
          } finally {
            await one.close()
          }
        } catch (error) {
          const problem = startProblem(error)
          if (!problem) throw error
          return problem.message
        }
      },
    ),
  )
  expect(said[0]).toBe(said[1] ?? '')
  expect(said.join()).not.toContain(PASSWORD)
  expect(said.join()).not.toContain(encodeURIComponent(PASSWORD))
  return said[0] ?? ''
}

/** Takes connections, and answers all that is said with `answer`. */
function startStranger(answer: string | ((bytes: Buffer) => string)): number {
  const listener = Bun.listen({
    hostname: 'localhost',
    port: 0,
    socket: {
      data(socket, bytes) {
        const text = typeof answer === 'string' ? answer : answer(bytes)
        if (text !== '') socket.write(text)
      },
    },
  })
  stops.push(() => listener.stop(true))
  return listener.port
}

describe('TLS', () => {
  const by = (query: string, host = 'localhost') => problemOf(postgres.url({ query, host }))

  test('of each mode connects where the certificate is right for it', async () => {
    const { caFile } = postgres
    expect(await by('sslmode=disable')).toBe('none')
    expect(await by('sslmode=require')).toBe('none')
    expect(await by('sslmode=require', WRONG_HOST)).toBe('none')
    expect(await by(`sslmode=verify-ca&sslrootcert=${caFile}`)).toBe('none')
    expect(await by(`sslmode=verify-ca&sslrootcert=${caFile}`, WRONG_HOST)).toBe('none')
    expect(await by(`sslmode=verify-full&sslrootcert=${caFile}`)).toBe('none')
    expect(await by(`sslmode=verify-full&sslrootcert=${caFile}`, '127.0.0.1')).toBe('none')
  })

  test('is what the server is spoken to with', async () => {
    const parsed = readDatabaseUrl(postgres.url({ query: 'sslmode=require' }))
    if (parsed.kind !== 'postgres') throw new Error('not a URL of PostgreSQL')
    const one = new Connection(parsed.addresses)
    const text = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'
    expect(await one.query(text)).toEqual([{ ssl: true }])
    await one.close()
  })

  test('refuses the certificate of an authority that is not trusted, also where require names one', async () => {
    const { strangeCaFile } = postgres
    for (const mode of ['require', 'verify-ca', 'verify-full'])
      expect(await by(`sslmode=${mode}&sslrootcert=${strangeCaFile}`)).toMatch(
        /^Nobody we trust has signed/,
      )
    for (const query of [
      'sslmode=verify-ca',
      'sslmode=verify-full',
      'sslmode=verify-full&sslrootcert=system',
    ])
      expect(await by(query)).toMatch(/^Nobody we trust has signed .*sslrootcert/)
  })

  test('refuses a certificate for another host with verify-full', async () => {
    const { caFile } = postgres
    expect(await by(`sslmode=verify-full&sslrootcert=${caFile}`, WRONG_HOST)).toMatch(
      /^The certificate of PostgreSQL is for another host/,
    )
  })

  test('is missed by name: on the server, and in the URL', async () => {
    for (const mode of ['require', 'verify-ca', 'verify-full'])
      expect(
        await problemOf(
          postgres.url({ host: '127.0.0.1', port: plain.port, query: `sslmode=${mode}` }),
        ),
      ).toMatch(/^PostgreSQL speaks no TLS there/)
    const { url } = postgres
    expect(await problemOf(url({ user: 'tls_only' }))).toMatch(
      /no rule that lets us in without TLS.*sslmode=verify-full/,
    )
    expect(await problemOf(url({ user: 'tls_only', query: 'sslmode=require' }))).toBe('none')
  })

  test('names the file that cannot be read, or is no certificate', async () => {
    expect(await by('sslmode=verify-full&sslrootcert=/nowhere/ca.pem')).toBe(
      'DATABASE_URL names /nowhere/ca.pem for sslrootcert, which cannot be read (ENOENT).',
    )
    expect(await by(`sslmode=verify-full&sslrootcert=${import.meta.path}`)).not.toBe('none')
  })
})

describe('who may come in', () => {
  test('the password is wrong, or missing', async () => {
    const { url } = postgres
    expect(await problemOf(url({ password: 'wrong' }))).toMatch(
      /^PostgreSQL refuses to let us in \(.*proxy.*\)\. Correct the user and the password in DATABASE_URL/,
    )
    expect(await problemOf(url({ password: '' }))).toMatch(
      /^PostgreSQL asks for a password, and DATABASE_URL has none/,
    )
  })

  test('the password of the environment is nobody’s', async () => {
    process.env['PGPASSWORD'] = PASSWORD
    try {
      expect(await problemOf(postgres.url({ password: '' }))).toMatch(
        /^PostgreSQL asks for a password/,
      )
    } finally {
      delete process.env['PGPASSWORD']
    }
  })

  test('the user is unknown to the server, or to its rules', async () => {
    expect(await problemOf(postgres.url({ user: 'nobody' }))).toMatch(/pg_hba\.conf/)
    expect(await problemOf(postgres.url({ user: 'stranger' }))).toMatch(/pg_hba\.conf/)
  })

  test('the database is unknown', async () => {
    expect(await problemOf(postgres.url({ database: 'nowhere' }))).toMatch(
      /^There is no such database \(database "nowhere" does not exist\)\. Create it/,
    )
  })

  test('the user lacks rights', async () => {
    const { server, url } = postgres
    const text = 'CREATE TABLE tables (id int)'
    expect(await problemOf(url({ user: 'tls_only', query: 'sslmode=require' }), text)).toMatch(
      /^The user of DATABASE_URL lacks rights \(permission denied for schema public\)/,
    )
    await sql(server.url(), 'CREATE DATABASE closed')
    await sql(server.url(), 'REVOKE CONNECT ON DATABASE closed FROM public')
    expect(await problemOf(url({ database: 'closed' }))).toMatch(
      /^The user of DATABASE_URL lacks rights/,
    )
  })

  test('the server, or the user, may only read', async () => {
    expect(await problemOf(postgres.url({ user: 'reader' }))).toMatch(/^PostgreSQL is read-only/)
  })

  test('no connection is left', async () => {
    await sql(postgres.server.url(), 'ALTER ROLE proxy CONNECTION LIMIT 0')
    try {
      expect(await problemOf(postgres.url())).toMatch(/^PostgreSQL has no connection left/)
    } finally {
      await sql(postgres.server.url(), 'ALTER ROLE proxy CONNECTION LIMIT -1')
    }
  })

  test.skipIf(!hasPgbouncer)('the pooler lets only single statements through', async () => {
    const port = await startPgbouncer(
      postgres.server.port,
      { user: 'proxy', password: PASSWORD },
      'statement',
    )
    expect(await problemOf(postgres.url({ host: '127.0.0.1', port }), 'BEGIN')).toMatch(
      /pool_mode to transaction/,
    )
  })
})

describe('what answers', () => {
  test('nobody', async () => {
    expect(await problemOf(postgres.url({ port: 1 }))).toMatch(
      /^Nobody takes connections where DATABASE_URL points/,
    )
    expect(await problemOf(postgres.url({ port: 1, host: '127.0.0.1' }))).toMatch(
      /^Nobody takes connections/,
    )
    expect(await problemOf(postgres.url({ host: 'nowhere.invalid' }))).toMatch(
      /^The host in DATABASE_URL has no address/,
    )
  })

  const silent = /^PostgreSQL does not answer at the host and port/
  test('somebody who is silent: at once, after agreeing to TLS, and after letting us in', async () => {
    const nothing = startStranger('')
    const onlyYes = startStranger((bytes) => (bytes.length === 8 ? 'S' : ''))
    // AuthenticationOk and ReadyForQuery, to whatever is said first.
    const letsIn = startStranger((bytes) =>
      bytes.includes('user') ? 'R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I' : '',
    )
    const { url } = postgres
    const startedMs = performance.now()
    const said = await Promise.all([
      problemOf(url({ port: nothing })),
      problemOf(url({ port: nothing, query: 'sslmode=verify-full' })),
      problemOf(url({ port: onlyYes, query: 'sslmode=verify-full' })),
      problemOf(url({ port: letsIn })),
      // The first bytes of its answer are taken for a long message that never ends.
      problemOf(url({ port: startStranger('HTTP/1.1 400 Bad Request\r\n\r\n') })),
    ])
    for (const text of said) expect(text).toMatch(silent)
    expect(performance.now() - startedMs).toBeLessThan(4_000)
  })

  test('somebody who is not PostgreSQL', async () => {
    const web = startStranger('HTTP/1.1 400 Bad Request\r\n\r\n')
    expect(await problemOf(postgres.url({ port: web, query: 'sslmode=require' }))).toMatch(
      /is not PostgreSQL/,
    )
  })
})

describe('the server', () => {
  test('says it in one line, and does not start', async () => {
    const { url } = postgres
    const serve = (DATABASE_URL: string) =>
      runCommand([...COMMAND, 'serve'], {
        HOST: '127.0.0.1',
        PORT: '0',
        DATA_DIR: `${temporaryDirectory()}/data`,
        DATABASE_URL,
      })
    const [refused, unreachable] = await Promise.all([
      serve(url({ password: `${PASSWORD}!` })),
      serve(url({ port: 1 })),
    ])
    expect(refused.err).toMatch(/^quota-proxy: PostgreSQL refuses to let us in .*\n$/)
    expect(refused.err + refused.out).not.toContain(PASSWORD)
    expect(refused.err + refused.out).not.toContain(encodeURIComponent(PASSWORD))
    expect(unreachable.err).toMatch(/^quota-proxy: Nobody takes connections .*\n$/)
    expect([refused.code, unreachable.code]).toEqual([2, 2])
  }, 20_000)
})

describe('the version', () => {
  test('of a real server will do, and an older one will not', async () => {
    const [row] = await sql<{ n: number }>(
      postgres.url(),
      "SELECT current_setting('server_version_num')::int AS n",
    )
    expect(versionProblem(row?.n ?? 0)).toBeNull()
    expect(versionProblem(150_000)).toBeNull()
    expect(versionProblem(140_022)?.message).toMatch(/^PostgreSQL 14 is too old\. Use 15 or newer/)
  })
})

test('a fault of this program is no problem of the database', () => {
  expect(startProblem(new TypeError('x is undefined'))).toBeNull()
  expect(startProblem('x')).toBeNull()
  const said = new AppError('storage_unavailable', 'said already')
  expect(startProblem(said)).toBe(said)
  expect(startProblem(new StoreFailure('odd', 'XX000'))?.message).toBe(
    'PostgreSQL cannot be used (odd, XX000). See its log.',
  )
})
