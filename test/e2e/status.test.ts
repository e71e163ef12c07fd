/** `quota-proxy status`: who serves the database, on one machine and on many. */
import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { VERSION } from '../../src/lib/process/version.ts'
import { runCommand } from '../support/command.ts'
import { newDatabase, sql } from '../support/postgres.ts'
import { COMMAND, startServer, temporaryDirectory } from '../support/server.ts'

const ROOM_MS = 60_000

const status = (env: Readonly<Record<string, string>>, ...options: string[]) =>
  runCommand([...COMMAND, 'status', ...options], env)

test(
  'on SQLite it is one line: the file, and the one server or none',
  async () => {
    const server = await startServer()
    const env = { DATA_DIR: server.dataDir }
    const running = await status(env)
    expect(running).toMatchObject({ err: '', code: 0 })
    expect(running.out).toMatch(
      /^SQLite 3\.[\d.]+, [\d.]+ kB: one server, \S+, since [\d-]+ [\d:]+ UTC, 0 calls in flight\n$/,
    )
    await server.stop()
    expect((await status(env)).out).toMatch(/^SQLite 3\.[\d.]+, [\d.]+ kB: no server\n$/)
    expect(JSON.parse((await status(env, '--json')).out)).toMatchObject({ data: [] })
  },
  ROOM_MS,
)

test(
  'on PostgreSQL it lists every replica, fits a terminal, and leaves nothing of itself behind',
  async () => {
    const url = await newDatabase()
    const shared = {
      DATABASE_URL: url,
      SECRET_KEY: randomBytes(32).toString('base64'),
      ADMIN_TOKEN: randomBytes(16).toString('hex'),
    }
    const first = await startServer(shared)
    const second = await startServer(shared)
    const asked = await status({ ...shared, DATA_DIR: first.dataDir, COLUMNS: '80' })
    expect(asked.code).toBe(0)
    const lines = asked.out.split('\n')
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
    expect(asked.out).toMatch(/^database +PostgreSQL \d+\.\d+, [\d.]+ MB$/m)
    expect(asked.out).toMatch(/^schema +\d{4}_\w+, \d+ migrations; a server must know \d{4}_\w+$/m)
    expect(asked.out).toMatch(/^clock +\d+ ms (?:ahead of|behind) that of the server asked$/m)
    expect(asked.out).toMatch(/^orphans +none$/m)
    expect(asked.out).toMatch(/^servers +2$/m)
    expect(lines.filter((line) => / serving /.test(line))).toHaveLength(2)

    await second.stop()
    const read = async () =>
      JSON.parse((await status({ ...shared, DATA_DIR: first.dataDir }, '--json')).out)
    const { data } = await read()
    expect(data).toMatchObject([
      { state: 'serving', here: true, version: VERSION, calls_in_flight: 0, ended_at: null },
      { state: 'left', here: false, lease_seconds: null, ended_at: expect.any(String) },
    ])
    expect(data[0].id).toEndWith(`:${first.dataDir}`)
    expect(data[0].lease_seconds).toBeWithin(0, 15.1)
    await first.stop()
    // A command is a replica while it runs, and none afterwards.
    const alone = await status({ ...shared, DATA_DIR: temporaryDirectory() })
    expect(alone).toMatchObject({ code: 0, err: '' })
    expect(alone.out).toMatch(/^servers +0$/m)
    expect(alone.out.match(/ left /g)).toHaveLength(2)
    expect(await sql(url, 'SELECT count(*)::int AS n FROM replicas')).toEqual([{ n: 2 }])
  },
  ROOM_MS,
)
