/** Whether what lies on the disk is whole, as far as a server can be asked for that. */
import { DrizzleQueryError, type SQL, sql } from 'drizzle-orm'
import type { Finding } from '../../../domain/store.ts'
import { errorCode } from '../../../lib/error-code.ts'
import type { Tx } from '../transact.ts'

/** insufficient_privilege */
const NO_RIGHT = '42501'

type Index = { readonly oid: number; readonly name: string }

/** Compares every index of ours with its own order, if the extension amcheck is there, and asks for broken checksums. */
export async function integrity(tx: Tx): Promise<Finding> {
  const broken = await checksumFailures(tx)
  if (broken > 0)
    return answer(
      false,
      `${broken} pages of this database had a wrong checksum: a disk or a file is damaged; restore a backup`,
    )
  const schema = await amcheckSchema(tx)
  if (schema === null)
    return answer(
      true,
      'no page with a wrong checksum is known; indexes were not checked, since the extension amcheck is not installed ("CREATE EXTENSION amcheck" installs it)',
    )
  return await checkIndexes(tx, sql`${sql.identifier(schema)}.bt_index_check`)
}

/** 0 also where checksums are off. */
async function checksumFailures(tx: Tx): Promise<number> {
  const { rows } = await tx.execute<{ failures: number | null }>(
    sql`SELECT checksum_failures AS failures FROM pg_stat_database WHERE datname = current_database()`,
  )
  return rows[0]?.failures ?? 0
}

async function amcheckSchema(tx: Tx): Promise<string | null> {
  const { rows } = await tx.execute<{ schema: string }>(
    sql`SELECT n.nspname AS schema FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
      WHERE e.extname = 'amcheck'`,
  )
  return rows[0]?.schema ?? null
}

async function checkIndexes(tx: Tx, check: SQL): Promise<Finding> {
  const { rows } = await tx.execute<Index>(sql`
    SELECT i.indexrelid::bigint AS oid, c.relname AS name
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
    WHERE a.amname = 'btree' AND c.relnamespace = current_schema()::regnamespace AND c.relpersistence = 'p'
      AND i.indisvalid AND i.indisready
    ORDER BY c.relname`)
  for (const { oid, name } of rows) {
    const problem = await problemOf(tx, sql`SELECT ${check}(${oid}::oid::regclass)`)
    if (problem === null) continue
    if (errorCode(problem) === NO_RIGHT)
      return answer(
        true,
        'indexes were not checked, since this role may not: "GRANT EXECUTE ON FUNCTION bt_index_check(regclass) TO …" lets it',
      )
    return answer(
      false,
      `the index ${name} is damaged (${problem.message}); "REINDEX INDEX ${name}" makes it anew, and the disk should be looked at`,
    )
  }
  return answer(
    true,
    `${rows.length} indexes are whole, and no page with a wrong checksum is known`,
  )
}

/** Null if there is none. The transaction goes on in any case. */
async function problemOf(tx: Tx, question: SQL): Promise<Error | null> {
  await tx.execute(sql`SAVEPOINT examined`)
  try {
    await tx.execute(question)
    return null
  } catch (error) {
    await tx.execute(sql`ROLLBACK TO SAVEPOINT examined`)
    const cause = error instanceof DrizzleQueryError ? error.cause : error
    return cause instanceof Error ? cause : new Error(String(cause))
  }
}

function answer(ok: boolean, detail: string): Finding {
  return { check: 'integrity', ok, detail }
}
