/** What a file shows without a server: whether it is a dump of PostgreSQL, and of what. */
import { closeSync, openSync, readSync } from 'node:fs'

/** The beginning of a dump in the custom format (pg_backup_archiver.h of PostgreSQL). */
const MAGIC = Buffer.from('PGDMP')

/** Tables that every database of ours has. */
const OURS = ['calls', 'counters', 'keys', 'limits', 'schema_migrations']

export function isDump(path: string): boolean {
  const fd = openSync(path, 'r')
  try {
    const head = Buffer.alloc(MAGIC.length)
    readSync(fd, head, 0, head.length, 0)
    return head.equals(MAGIC)
  } finally {
    closeSync(fd)
  }
}

/**
 * The schema whose tables are in the dump, by the table of contents that `pg_restore --list` prints:
 * `215; 1259 16385 TABLE public keys postgres`. Null if it is none of our databases.
 */
export function schemaOf(list: string): string | null {
  const found = /^\d+; \d+ \d+ TABLE (.+) schema_migrations \S+$/m.exec(list)?.[1]
  if (found === undefined) return null
  const hasData = (table: string) => list.includes(` TABLE DATA ${found} ${table} `)
  return OURS.every(hasData) ? found : null
}
