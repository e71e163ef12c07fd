/**
 * Dumps the database as it is at one moment, while it is served, and tells what a database holds. The dump and the counts
 * are of the same snapshot.
 */
import { createWriteStream } from 'node:fs'
import { sql } from 'drizzle-orm'
import type { Sums } from '../../../domain/backup.ts'
import type { PostgresAddress } from '../../../domain/postgres-url.ts'
import { unbalancedCounters } from '../ledger/books.ts'
import { withSnapshot } from '../snapshot.ts'
import type { Tx } from '../transact.ts'
import { isPooled } from './pooler.ts'
import { environmentOf, findPrograms, pipe } from './programs.ts'

/** Of a server and the database that a URL leads to. */
export type About = {
  readonly major: number
  /** In which the tables of the database are, or would be. */
  readonly schema: string
  /** Whether the schema holds a database of ours. */
  readonly isOurs: boolean
  /** Whether the role may create databases. */
  readonly mayCreate: boolean
  /** Whether it may create schemas in this database. */
  readonly mayCreateSchemas: boolean
}

export async function describeServer(tx: Tx): Promise<About> {
  const { rows } = await tx.execute<About>(sql`
    SELECT current_setting('server_version_num')::integer / 10000 AS major, current_schema() AS schema,
      to_regclass(quote_ident(current_schema()) || '.schema_migrations') IS NOT NULL AS "isOurs",
      (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user) AS "mayCreate",
      has_database_privilege(current_database(), 'CREATE') AS "mayCreateSchemas"`)
  const [about] = rows
  if (!about?.schema)
    throw new Error('The search_path of the role in DATABASE_URL names no schema that exists.')
  return about
}

/** Null if the file can be restored on this server, which tells more than the counts. */
export function dumpDatabase(
  addresses: readonly PostgresAddress[],
  to: string,
): Promise<Sums | null> {
  return withSnapshot(addresses, async (tx, { address }) => {
    const about = await describeServer(tx)
    if (!about.isOurs)
      throw new Error(
        'There is no database of quota-proxy where DATABASE_URL leads. Set it to the one that is served.',
      )
    const programs = await findPrograms(about.major)
    if (await isPooled(address))
      throw new Error(
        'DATABASE_URL leads through a pooler, which would give the settings of pg_dump to calls. Run "quota-proxy backup create" by a timer, with the DATABASE_URL of the server itself.',
      )
    const { rows } = await tx.execute<{ id: string }>(sql`SELECT pg_export_snapshot() AS id`)
    const args = dumpArguments(about.schema, rows[0]?.id ?? '')
    const env = environmentOf(address, programs)
    await pipe(
      programs.paths.pg_dump,
      args,
      env,
      createWriteStream(to, { flags: 'wx', mode: 0o600 }),
    )
    return about.mayCreate ? null : await readSums(tx)
  })
}

/** Not compressed: packing does that better. */
function dumpArguments(schema: string, snapshot: string): string[] {
  return [
    '--format=custom',
    '--compress=0',
    '--no-owner',
    '--no-privileges',
    '--no-password',
    // A pattern: quoted, it is taken as it stands.
    `--schema="${schema.replaceAll('"', '""')}"`,
    `--snapshot=${snapshot}`,
  ]
}

export async function countsIn(tx: Tx): Promise<Pick<Sums, 'keys' | 'calls'>> {
  const { rows } = await tx.execute<Pick<Sums, 'keys' | 'calls'>>(
    sql`SELECT (${KEYS}) AS keys, (SELECT count(*) FROM calls) AS calls`,
  )
  return rows[0] ?? { keys: 0, calls: 0 }
}

/** Deleted keys stay as rows, for their usage. */
const KEYS = sql`SELECT count(*) FROM keys WHERE deleted_at IS NULL`

type Counted = Omit<Sums, 'migrations' | 'unbalanced' | 'seals'>

export async function readSums(tx: Tx): Promise<Sums> {
  const used = (unit: string) =>
    sql`coalesce((SELECT sum(used) FROM counters WHERE unit = ${unit}), 0)::bigint`
  const counted = await tx.execute<Counted>(sql`
    SELECT (${KEYS}) AS keys, (SELECT count(*) FROM calls) AS calls, (SELECT count(*) FROM holds) AS holds,
      greatest((SELECT max(seq) FROM calls), (SELECT max(seq) FROM holds)) AS newest,
      ${used('requests')} AS requests, ${used('tokens')} AS tokens, ${used('cost')} AS cost`)
  const migrations = await tx.execute<{ name: string }>(
    sql`SELECT name FROM schema_migrations ORDER BY name`,
  )
  const seals = await tx.execute<{ id: string }>(sql`
    SELECT DISTINCT substr(credential, 4, 8) AS id FROM upstreams WHERE credential LIKE 'v1.%' ORDER BY 1`)
  const [counts] = counted.rows
  if (!counts) throw new Error('the database gave no answer')
  return {
    migrations: migrations.rows.map(({ name }) => name),
    ...counts,
    unbalanced: (await unbalancedCounters(tx)).length,
    seals: seals.rows.map(({ id }) => id),
  }
}
