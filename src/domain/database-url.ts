/** Where the database is: the one place that takes a `DATABASE_URL` apart. Pure. */
import { type PostgresAddress, parsePostgresUrl } from './postgres-url.ts'

export type DatabaseUrl =
  | { readonly kind: 'memory' }
  | { readonly kind: 'file'; readonly path: string }
  /** `addresses` are tried in their order until one can be written to. */
  | {
      readonly kind: 'postgres'
      readonly url: string
      readonly addresses: readonly PostgresAddress[]
    }

type Parsed = { ok: true; value: DatabaseUrl } | { ok: false; problem: string }

/** Takes `:memory:`, `file:` and a plain path, or a `postgres://` URL. */
export function parseDatabaseUrl(text: string): Parsed {
  if (text === MEMORY) return { ok: true, value: { kind: 'memory' } }
  if (/^postgres(ql)?:/i.test(text)) {
    const parsed = parsePostgresUrl(text)
    return parsed.ok
      ? { ok: true, value: { kind: 'postgres', url: text, addresses: parsed.addresses } }
      : parsed
  }
  // SQLite would take `?mode=ro` for parameters and `//host` for a machine; neither is a path.
  const path = /^file:(?:\/\/(?=\/))?(?!\/\/|:)([^?#]*[^?#/])$/.exec(text)?.[1]
  if (path !== undefined) return { ok: true, value: { kind: 'file', path } }
  const problem =
    'must be file: and the path of a file, for example file:/data/quota.db, or postgres://user:password@host/database, or :memory:.'
  return { ok: false, problem }
}

/** For a URL from the settings, which have been checked. */
export function readDatabaseUrl(url: string): DatabaseUrl {
  const parsed = parseDatabaseUrl(url)
  if (!parsed.ok) throw new Error(`DATABASE_URL ${parsed.problem}`)
  return parsed.value
}

export function formatDatabaseUrl(database: DatabaseUrl): string {
  if (database.kind === 'postgres') return database.url
  return database.kind === 'memory' ? MEMORY : `file:${database.path}`
}

/** The URL as it was given, but for its password. */
export function hidePassword(url: string): string {
  return url.replace(/^(postgres(?:ql)?:\/\/[^:@/?#]*:)[^@/?#]*(?=@)/i, '$1***')
}

/** For people: without a password. */
export function nameOf(database: DatabaseUrl): string {
  if (database.kind === 'file') return database.path
  if (database.kind === 'memory') return MEMORY
  return database.addresses
    .map(({ host, port, database: base }) => `${host}:${port}/${base}`)
    .join(', ')
}

const MEMORY = ':memory:'
