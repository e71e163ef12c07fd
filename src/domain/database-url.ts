/** Where the database is: the one place that takes a `DATABASE_URL` apart. Pure. */

export type DatabaseUrl =
  | { readonly kind: 'memory' }
  | { readonly kind: 'file'; readonly path: string }

type Parsed = { ok: true; value: DatabaseUrl } | { ok: false; problem: string }

/** Takes `:memory:`, or `file:` and a plain path. */
export function parseDatabaseUrl(text: string): Parsed {
  if (text === MEMORY) return { ok: true, value: { kind: 'memory' } }
  if (/^postgres(ql)?:/i.test(text)) {
    const problem = 'names PostgreSQL, which is not supported yet; use file:/data/quota.db.'
    return { ok: false, problem }
  }
  // SQLite would take `?mode=ro` for parameters and `//host` for a machine; neither is a path.
  const path = /^file:(?:\/\/(?=\/))?(?!\/\/|:)([^?#]*[^?#/])$/.exec(text)?.[1]
  if (path !== undefined) return { ok: true, value: { kind: 'file', path } }
  const problem =
    'must be file: and the path of a file, for example file:/data/quota.db, or :memory:.'
  return { ok: false, problem }
}

/** For a URL from the settings, which have been checked. */
export function readDatabaseUrl(url: string): DatabaseUrl {
  const parsed = parseDatabaseUrl(url)
  if (!parsed.ok) throw new Error(`DATABASE_URL ${parsed.problem}`)
  return parsed.value
}

export function formatDatabaseUrl(database: DatabaseUrl): string {
  return database.kind === 'memory' ? MEMORY : `file:${database.path}`
}

const MEMORY = ':memory:'
