/** The database of a test's store, as somebody sees it who is not the store: by SQL, and by all that it keeps. */
import { Database } from 'bun:sqlite'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { sql } from './postgres.ts'

/** What others can open, too. */
export const SHARED_ENGINES = ['SQLite in a file', 'PostgreSQL'] as const

export type TestDatabase = {
  readonly isPostgres: boolean
  all<Row extends object>(statement: string): Promise<Row[]>
  run(statement: string): Promise<void>
  /** All that is kept, in the bytes of its files, or as its server shows it. */
  written(): Promise<Buffer>
  /** Whether the text stands anywhere in it. */
  keeps(text: string): Promise<boolean>
  /** Where a process that is killed now leaves the database. */
  asLeft(): Promise<string>
}

/** `path` is that of the store, which may go on. */
export function testDatabase({
  path,
  isReadOnly = false,
}: {
  readonly path: string
  readonly isReadOnly?: boolean
}): TestDatabase {
  return path.startsWith('postgres:') ? postgres(path) : sqlite(path, isReadOnly)
}

function postgres(url: string): TestDatabase {
  const all = <Row extends object>(statement: string) => sql<Row>(url, statement)
  return {
    isPostgres: true,
    all,
    async run(statement) {
      await sql(url, statement)
    },
    async written() {
      const tables = await all<{ name: string }>(
        "SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'",
      )
      const written: string[] = []
      for (const { name } of tables) {
        const rows = await all<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)
        written.push(...rows.map(({ row }) => row))
      }
      return Buffer.from(written.join('\n'))
    },
    async keeps(text) {
      return (await this.written()).includes(text)
    },
    // Whoever opens it takes the place of the replica that was there.
    asLeft: async () => url,
  }
}

function sqlite(path: string, isReadOnly: boolean): TestDatabase {
  const use = <T>(work: (client: Database) => T): T => {
    const client = isReadOnly ? new Database(path, { readonly: true }) : new Database(path)
    // Somebody else may be writing.
    client.run('PRAGMA busy_timeout = 5000')
    try {
      return work(client)
    } finally {
      client.close()
    }
  }
  return {
    isPostgres: false,
    all: async <Row extends object>(statement: string) =>
      use((client) => client.query<Row, []>(statement).all()),
    async run(statement) {
      use((client) => client.run(statement))
    },
    async written() {
      const files = readdirSync(dirname(path)).filter((name) => name.startsWith(basename(path)))
      return Buffer.concat(files.map((name) => readFileSync(join(dirname(path), name))))
    },
    async keeps(text) {
      return (await this.written()).includes(text)
    },
    async asLeft() {
      const copy = `${path}.copy`
      use((client) => client.run(`VACUUM INTO '${copy}'`))
      return copy
    },
  }
}
