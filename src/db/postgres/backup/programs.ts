/**
 * PostgreSQL's own programs, which make and restore dumps: pg_dump, pg_restore and psql. They are told of the server by
 * their environment alone, so that no list of processes shows a password. They end when this process does: what they print
 * comes through it.
 */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { PostgresAddress, PostgresTls } from '../../../domain/postgres-url.ts'

const NAMES = ['pg_dump', 'pg_restore', 'psql'] as const
type Name = (typeof NAMES)[number]

export type Programs = {
  readonly paths: Readonly<Record<Name, string>>
  /** Of the programs. */
  readonly major: number
}

/** From this version on, libpq finds by itself whom the system trusts. */
const SYSTEM_ROOTS_MAJOR = 16

/** Where distributions keep whom the system trusts: Debian and Alpine, Red Hat, BSD and macOS. */
const ROOTS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
]

/** Throws an Error that says what to install. `serverMajor` is the server's version. */
export async function findPrograms(serverMajor: number): Promise<Programs> {
  const paths = NAMES.map((name) => [name, Bun.which(name)] as const)
  const missing = paths.filter(([, path]) => path === null).map(([name]) => name)
  if (missing.length > 0) throw new Error(missingPrograms(missing, serverMajor))
  const found = Object.fromEntries(paths) as Record<Name, string>
  const said = await capture(found.pg_dump, ['--version'], {})
  const major = Number(/\b(\d+)(?:\.|beta|rc|devel|\b)/.exec(said)?.[1] ?? 0)
  if (major < serverMajor)
    throw new Error(
      `pg_dump is version ${major} here, and the server is PostgreSQL ${serverMajor}: it must be at least as new. Install the client programs of PostgreSQL ${serverMajor} (Debian: postgresql-client-${serverMajor}).`,
    )
  return { paths: found, major }
}

/** Why backups cannot be made here; null if the programs are there. */
export function missingReason(): string | null {
  const missing = NAMES.filter((name) => Bun.which(name) === null)
  return missing.length === 0 ? null : missingPrograms(missing, null)
}

function missingPrograms(missing: readonly string[], serverMajor: number | null): string {
  const version = serverMajor === null ? '' : ` of PostgreSQL ${serverMajor} or newer`
  const debian = serverMajor === null ? 'postgresql-client' : `postgresql-client-${serverMajor}`
  return `Backups of PostgreSQL need pg_dump, pg_restore and psql on the PATH (missing: ${missing.join(', ')}); install the client programs${version} (Debian: ${debian}).`
}

/** How libpq is told of a server (PostgreSQL documentation, 32.15 "Environment Variables"). */
export function environmentOf(
  { host, port, database, user, password, tls }: PostgresAddress,
  { paths, major }: Programs,
): Record<string, string> {
  return {
    PATH: dirname(paths.pg_dump),
    LC_ALL: 'C.UTF-8',
    PGHOST: host,
    PGPORT: String(port),
    PGDATABASE: database,
    PGUSER: user,
    ...(password !== undefined && { PGPASSWORD: password }),
    PGAPPNAME: 'quota-proxy backup',
    PGCONNECT_TIMEOUT: '10',
    ...tlsEnvironment(tls, major),
  }
}

function tlsEnvironment(tls: PostgresTls, major: number): Record<string, string> {
  const { mode, rootCertificate, certificate, key } = tls
  const checks = mode === 'verify-ca' || mode === 'verify-full'
  const roots = rootCertificate ?? (checks ? systemRoots(mode, major) : undefined)
  return {
    PGSSLMODE: mode,
    ...(roots !== undefined && { PGSSLROOTCERT: roots }),
    ...(certificate !== undefined && { PGSSLCERT: certificate }),
    ...(key !== undefined && { PGSSLKEY: key }),
  }
}

/** libpq takes what it finds by itself for names that it checks only. */
function systemRoots(mode: PostgresTls['mode'], major: number): string | undefined {
  if (mode === 'verify-full' && major >= SYSTEM_ROOTS_MAJOR) return 'system'
  return ROOTS.find((path) => existsSync(path))
}

type Environment = Readonly<Record<string, string>>

/** What a program prints. Throws what it says if it fails. */
export async function capture(
  path: string,
  args: readonly string[],
  env: Environment,
): Promise<string> {
  const child = start(path, args, env)
  const [printed] = await Promise.all([child.stdout.text(), ended(child, path)])
  return printed
}

/** Writes what a program prints to `sink`. Throws what it says if it fails. */
export async function pipe(
  path: string,
  args: readonly string[],
  env: Environment,
  sink: NodeJS.WritableStream,
): Promise<void> {
  const child = start(path, args, env)
  const passed = pipeline(child.stdout, sink).catch((error) => {
    child.kill()
    throw error
  })
  const [said, wrote] = await Promise.allSettled([ended(child, path), passed])
  // What it said is the cause, unless it was ended here.
  if (said.status === 'rejected' && child.signalCode === null) throw said.reason
  if (wrote.status === 'rejected') throw wrote.reason
  if (said.status === 'rejected') throw said.reason
}

function start(path: string, args: readonly string[], env: Environment) {
  return Bun.spawn([path, ...args], { env, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
}

export type Child = Pick<
  Bun.Subprocess<'ignore' | 'pipe', 'pipe' | 'ignore', 'pipe'>,
  'exited' | 'stderr'
>

/** Throws what it says if it fails. */
export async function ended(child: Child, path: string): Promise<void> {
  const [said, code] = await Promise.all([child.stderr.text(), child.exited])
  if (code === 0) return
  throw new Error(
    `${path.split('/').at(-1)} failed: ${firstError(said) || `it ended with ${code}`}`,
  )
}

/** The first line that tells an error, without the program's name before it. */
function firstError(said: string): string {
  const lines = said.split('\n').filter((line) => line.trim() !== '')
  const line = lines.find((each) => /\b(?:error|ERROR|FATAL):/.test(each)) ?? lines[0] ?? ''
  return line.replace(/^.*?\b(?:error|ERROR):\s*/, '').trim()
}
