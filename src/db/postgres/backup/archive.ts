/** What the table of contents of a dump shows: whether it is of a database of ours, and in which schema that was. */

/** Tables that every database of ours has. */
const OURS = ['calls', 'counters', 'keys', 'limits', 'schema_migrations']

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
