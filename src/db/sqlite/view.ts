/** What the database is, and the one process that serves it. */
import type { Database } from 'bun:sqlite'
import type { StoreView } from '../../domain/store.ts'
import { VERSION } from '../../lib/process/version.ts'

export type Self = { readonly id: string; readonly startedAt: number }

/** `at` is now. */
export function viewDatabase(client: Database, { id, startedAt }: Self, at: number): StoreView {
  const one = <Row>(question: string) => client.query<Row, []>(question).get() as Row
  const { version } = one<{ version: string }>('SELECT sqlite_version() AS version')
  const { bytes } = one<{ bytes: number }>(
    'SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()',
  )
  const { applied, newest } = one<{ applied: number; newest: string }>(
    'SELECT count(*) AS applied, max(name) AS newest FROM schema_migrations',
  )
  const { holds } = one<{ holds: number }>('SELECT count(*) AS holds FROM holds')
  return {
    engine: 'SQLite',
    version,
    bytes,
    // A binary understands no database that is newer than itself.
    schema: { applied, newest, oldest: newest },
    clockAheadMs: null,
    orphans: 0,
    replicas: [
      {
        ...{ id, version: VERSION, state: 'serving', here: true, startedAt, seenAt: at },
        ...{ endedAt: null, leaseMs: null, batch: null, holds },
      },
    ],
  }
}
