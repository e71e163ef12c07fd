/** The look-up of the data path: a prepared statement on the unique index of hashes. */
import type { Database } from 'bun:sqlite'
import type { Credential, FindCredential, ReserveMax, Scope } from '../../../domain/key.ts'
import type { Unit } from '../../../domain/limit.ts'
import { ask } from '../transact.ts'

type Row = Omit<Credential, 'enabled' | 'reserveMax' | 'limitedUnits' | 'scope'> & {
  readonly enabled: number
  readonly reserveMax: string | null
  /** With commas. */
  readonly limitedUnits: string | null
  readonly scope: string | null
}

/** A limit without an amount refuses nothing. Limits change with the revision of their key. */
const COLUMNS = `name, concurrency, reserve_max AS reserveMax, scope, revision,
   (SELECT group_concat(DISTINCT unit) FROM limits WHERE key_seq = keys.seq AND amount IS NOT NULL) AS limitedUnits`

/**
 * Only what is no present secret is looked for among those of before a rotation, so that these cost other calls nothing.
 * `onFailure` is told of a store that fails, with what must succeed before anything is granted again.
 */
export function createFindCredential(
  client: Database,
  onFailure: (error: unknown, again: () => Promise<unknown>) => void,
): FindCredential {
  const present = client.query<Row, [Buffer]>(
    `SELECT seq, id, enabled, expires_at AS expiresAt, ${COLUMNS} FROM keys WHERE hash = ?`,
  )
  const previous = client.query<Row, [Buffer]>(
    `SELECT seq, id, enabled, min(previous_until, ifnull(expires_at, previous_until)) AS expiresAt, ${COLUMNS}
     FROM keys WHERE previous_hash = ?`,
  )
  const find = (hash: Buffer): Credential | null => {
    const row = present.get(hash) ?? previous.get(hash)
    if (!row) return null
    const { seq, id, name, enabled, expiresAt, concurrency, revision } = row
    const { reserveMax, limitedUnits, scope } = row
    return {
      ...{ seq, id, name, enabled: enabled === 1, expiresAt, concurrency, revision },
      reserveMax: reserveMax === null ? null : (JSON.parse(reserveMax) as ReserveMax),
      limitedUnits: (limitedUnits?.split(',') ?? []) as Unit[],
      scope: scope === null ? null : (JSON.parse(scope) as Scope),
    }
  }
  return (hash) =>
    ask(() => {
      try {
        return find(hash)
      } catch (error) {
        onFailure(error, () => ask(() => find(hash)))
        throw error
      }
    })
}
