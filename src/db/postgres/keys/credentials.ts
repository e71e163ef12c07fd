/** The look-up of the data path: one question on the unique indexes of hashes. */
import { type SQL, sql } from 'drizzle-orm'
import type { Credential, FindCredential } from '../../../domain/key.ts'
import type { Read } from '../transact.ts'

type Row = Credential & { readonly isPrevious: boolean }

/** A limit without an amount refuses nothing. Limits change with the revision of their key. */
const LIMITED_UNITS = sql`ARRAY(
  SELECT DISTINCT unit FROM limits WHERE key_seq = keys.seq AND amount IS NOT NULL)`

/**
 * A secret of before a rotation is one of no present key. `onFailure` is told of a store that fails, with what must succeed
 * before anything is granted again.
 */
export function createFindCredential(
  read: Read,
  onFailure: (error: unknown, again: () => Promise<unknown>) => void,
): FindCredential {
  const find = (hash: Buffer) =>
    read(async (tx): Promise<Credential | null> => {
      const { rows } = await tx.execute<Row>(foundBy(hash))
      const row = rows.find(({ isPrevious }) => !isPrevious) ?? rows[0]
      if (!row) return null
      const { isPrevious: _, ...credential } = row
      return credential
    })
  return async (hash) => {
    try {
      return await find(hash)
    } catch (error) {
      onFailure(error, () => find(hash))
      throw error
    }
  }
}

function foundBy(hash: Buffer): SQL {
  const columns = sql`seq, id, name, enabled, concurrency, revision, scope, reserve_max AS "reserveMax",
    ${LIMITED_UNITS} AS "limitedUnits"`
  // Of two instants, `least` takes the one that is there.
  return sql`
    SELECT ${columns}, expires_at AS "expiresAt", false AS "isPrevious" FROM keys WHERE hash = ${hash}
    UNION ALL
    SELECT ${columns}, least(previous_until, expires_at), true FROM keys WHERE previous_hash = ${hash}`
}
