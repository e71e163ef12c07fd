/** Written by `bun run generate` from drizzle/; do not edit. */
import m0 from '../../../drizzle/postgres/0000_init.sql' with { type: 'text' }
import m1 from '../../../drizzle/postgres/0001_ledger.sql' with { type: 'text' }
import m2 from '../../../drizzle/postgres/0002_storage.sql' with { type: 'text' }
import type { Migration } from './migrate.ts'

export const POSTGRES_MIGRATIONS: readonly Migration[] = [
  { name: '0000_init', sql: m0 },
  { name: '0001_ledger', sql: m1 },
  { name: '0002_storage', sql: m2 },
]
