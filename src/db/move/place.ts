/** Where the two sides of a move are: how they are named without a secret, and why one cannot be reached. */
import { existsSync, realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import type { DatabaseUrl } from '../../domain/database-url.ts'
import { StoreFailure } from '../../domain/store.ts'
import { AppError } from '../../errors.ts'
import { errorCode } from '../../lib/error-code.ts'
import { MoveRefused } from './ports.ts'

export type MovableUrl = Exclude<DatabaseUrl, { kind: 'memory' }>

/** Without user and password. */
export function nameOf(url: MovableUrl): string {
  if (url.kind === 'file') return `file:${url.path}`
  const [first] = url.addresses
  const hosts = url.addresses.map(
    ({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`,
  )
  return `postgres://${hosts.join(',')}/${first?.database}`
}

export function isSame(one: MovableUrl, other: MovableUrl): boolean {
  if (one.kind === 'file' && other.kind === 'file') return real(one.path) === real(other.path)
  return one.kind === other.kind && nameOf(one) === nameOf(other)
}

function real(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path)
}

/** By SQLSTATE (PostgreSQL, appendix A), SQLite's code or that of the system. */
const ADVICE: Readonly<Record<string, string>> = {
  '28P01': 'The password is wrong: check it in the URL, in PGPASSWORD or in ~/.pgpass.',
  '28000': 'The server does not let this user in: check the URL and pg_hba.conf.',
  '3D000': 'Create the database first, for a user who owns it.',
  '42501': 'Use a user who owns the database and its tables.',
  SQLITE_NOTADB: 'Name a database of quota-proxy.',
}

/** What the operator is told: a refusal if it is about the database, and any other error as it is. */
export function refusalOf(name: string, error: unknown): unknown {
  if (error instanceof AppError) return new MoveRefused(error.message)
  const code = errorCode(error)
  if (!(error instanceof StoreFailure) && ADVICE[code] === undefined) return error
  const message = error instanceof Error ? error.message : String(error)
  const advice = ADVICE[code] ?? 'Check the URL, and that the database can be reached from here.'
  return new MoveRefused(`${name} cannot be used (${code}: ${message}). ${advice}`)
}
