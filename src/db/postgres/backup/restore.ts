/**
 * Puts a dump into the place of a database. In one transaction the present tables move to a schema of their own and the dump
 * takes their place: at every moment there is one whole database. The transaction holds the locks of whoever migrates or
 * enters as a replica, and goes no further if one serves.
 */
import { getTableName, is, sql } from 'drizzle-orm'
import { PgTable } from 'drizzle-orm/pg-core'
import type { Replaced } from '../../../domain/backup.ts'
import type { PostgresAddress } from '../../../domain/postgres-url.ts'
import { StoreInUse } from '../../../errors.ts'
import { compact } from '../../../lib/clock.ts'
import * as books from '../ledger/schema.ts'
import { MIGRATION_LOCK } from '../migrate.ts'
import { UNFINISHED } from '../move/unfinished.ts'
import * as rest from '../schema.ts'
import { withClient } from '../snapshot.ts'
import type { Tx } from '../transact.ts'
import { schemaOf } from './archive.ts'
import { describeServer } from './copy.ts'
import { play } from './play.ts'
import { capture, environmentOf, findPrograms } from './programs.ts'
import { quoted } from './verify.ts'

/** What the name of a schema begins with in which a restore has kept the database of before. */
const KEPT = 'quota_before_restore_'

/** How long to wait for somebody who looks into the tables. */
const LOCK_TIMEOUT = '10s'

const SERVED = 'quota-proxy serves this database'

/** Throws if a replica serves the database. */
export async function refuseServed(tx: Tx): Promise<void> {
  const about = await describeServer(tx)
  if (!about.isOurs) return
  const { rows } = await tx.execute<{ id: string; lease_s: number }>(sql`
    SELECT id, ceil((lease_until - extract(epoch FROM clock_timestamp()) * 1000) / 1000)::integer AS lease_s
    FROM replicas WHERE ended_at IS NULL AND lease_until > extract(epoch FROM clock_timestamp()) * 1000 ORDER BY id`)
  const longest = Math.max(...rows.map(({ lease_s }) => lease_s))
  if (rows.length > 0)
    throw new StoreInUse(
      `${rows.length} replicas serve this database (${rows.map(({ id }) => id).join(', ')}). Stop all of them first; one that was killed is gone in ${longest} s.`,
    )
}

export function replaceByDump(
  addresses: readonly PostgresAddress[],
  file: string,
  at: number,
): Promise<Replaced> {
  return withClient(addresses, async (tx, { address }) => {
    const about = await describeServer(tx)
    const programs = await findPrograms(about.major)
    const env = environmentOf(address, programs)
    const schema = schemaOf(await capture(programs.paths.pg_restore, ['--list', file], env))
    if (schema !== about.schema)
      throw new Error(
        `The backup is of the schema "${schema}", and DATABASE_URL leads to "${about.schema}". Give its role the search_path "${schema}".`,
      )
    const objects = await objectsOf(tx, schema)
    if (objects.length > 0 && !about.isOurs)
      throw new Error(
        `The schema "${schema}" has tables with the names of ours that are not ours. Use another database.`,
      )
    if (objects.length > 0 && !about.mayCreateSchemas)
      throw new Error(
        `The role may not create a schema to keep the database of before in. "GRANT CREATE ON DATABASE ${address.database} TO ${address.user}" lets it.`,
      )
    const kept = objects.length > 0 ? await freeSchema(tx, at) : null
    const before = kept === null ? '' : moving(schema, kept, objects)
    await play({
      programs,
      major: about.major,
      address,
      file,
      schema,
      before: lock() + before,
    }).catch((error) => {
      if (!String(error).includes(SERVED)) throw error
      throw new StoreInUse('A server has begun to serve this database. Stop it first.')
    })
    await analyze(tx, schema).catch(() => {})
    return { kept: kept === null ? null : `the schema ${kept}`, keptLog: false }
  })
}

const TABLES = [...Object.values(rest), ...Object.values(books)].flatMap((each) =>
  is(each, PgTable) ? [getTableName(each)] : [],
)

/** `ALTER` statements begin so. */
type Object = { readonly kind: 'TABLE' | 'SEQUENCE' | 'FUNCTION'; readonly name: string }

/** Sequences of identities and indexes move with their tables. */
async function objectsOf(tx: Tx, schema: string): Promise<Object[]> {
  const names = `{${[...TABLES, 'schema_migrations', UNFINISHED].join(',')}}`
  const { rows } = await tx.execute<Object>(sql`
    SELECT 'TABLE' AS kind, format('%I.%I', ${schema}::text, relname) AS name FROM pg_class
    WHERE relnamespace = ${schema}::regnamespace AND relkind IN ('r', 'p') AND relname = ANY (${names}::text[])
    UNION ALL SELECT 'SEQUENCE', format('%I.%I', ${schema}::text, relname) FROM pg_class
    WHERE relnamespace = ${schema}::regnamespace AND relkind = 'S' AND relname = 'call_seq'
    UNION ALL SELECT 'FUNCTION',
      format('%I.%I(%s)', ${schema}::text, proname, pg_get_function_identity_arguments(oid)) FROM pg_proc
    WHERE pronamespace = ${schema}::regnamespace AND proname LIKE 'quota\\_%'
    ORDER BY 1, 2`)
  return rows
}

/** What the server would do by itself within minutes, so that it finds its way from the start. */
async function analyze(tx: Tx, schema: string): Promise<void> {
  for (const { kind, name } of await objectsOf(tx, schema))
    if (kind === 'TABLE') await tx.execute(sql.raw(`ANALYZE ${name}`))
}

/** Whatever was kept before stays. */
async function freeSchema(tx: Tx, at: number): Promise<string> {
  const { rows } = await tx.execute<{ name: string }>(
    sql`SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE ${`${KEPT}%`}`,
  )
  const name = KEPT + compact(at).toLowerCase()
  let free = name
  for (let n = 2; rows.some((row) => row.name === free); n++) free = `${name}_${n}`
  return free
}

/** Against two restores at once, and whoever brings the schema up to date when a server starts. */
function lock(): string {
  return `SET LOCAL lock_timeout = '${LOCK_TIMEOUT}';\nSELECT pg_advisory_xact_lock(${MIGRATION_LOCK});\n`
}

/** No replica enters while its table is locked, and none that has entered is overlooked. */
function moving(schema: string, kept: string, objects: readonly Object[]): string {
  const replicas = `${quoted(schema)}.replicas`
  const moves = objects.map(({ kind, name }) => `ALTER ${kind} ${name} SET SCHEMA ${quoted(kept)};`)
  return [
    `LOCK TABLE ${replicas} IN ACCESS EXCLUSIVE MODE;`,
    `DO $$ BEGIN IF EXISTS (SELECT 1 FROM ${replicas} WHERE ended_at IS NULL
       AND lease_until > extract(epoch FROM clock_timestamp()) * 1000) THEN RAISE EXCEPTION '${SERVED}'; END IF; END $$;`,
    `CREATE SCHEMA ${quoted(kept)};`,
    ...moves,
  ].join('\n')
}
