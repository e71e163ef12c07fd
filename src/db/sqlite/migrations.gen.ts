/** Written by `bun run generate` from drizzle/; do not edit. */
import m0 from '../../../drizzle/sqlite/0000_init.sql' with { type: 'text' }
import m1 from '../../../drizzle/sqlite/0001_upstreams.sql' with { type: 'text' }
import m2 from '../../../drizzle/sqlite/0002_rotate.sql' with { type: 'text' }
import m3 from '../../../drizzle/sqlite/0003_charges.sql' with { type: 'text' }
import m4 from '../../../drizzle/sqlite/0004_metering.sql' with { type: 'text' }
import type { Migration } from './migrate.ts'

export const SQLITE_MIGRATIONS: readonly Migration[] = [
  { name: '0000_init', sql: m0 },
  { name: '0001_upstreams', sql: m1 },
  { name: '0002_rotate', sql: m2 },
  { name: '0003_charges', sql: m3 },
  { name: '0004_metering', sql: m4 },
]
