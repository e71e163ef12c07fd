/**
 * The look-up of the data path: by the unique indexes of hashes. What is looked for while a question is under way is asked
 * together by the next one, so that ever so many secrets take one connection, and no answer is older than its question.
 */
import { type SQL, sql } from 'drizzle-orm'
import type { Credential, FindCredential } from '../../../domain/key.ts'
import type { Read } from '../transact.ts'

type Row = Credential & { readonly hex: string }
type Waiting = PromiseWithResolvers<Credential | null>

/** Of one question: a few milliseconds. */
const HASHES_MAX = 500

/** `onFailure` is told of a store that fails, with what must succeed before anything is granted again. */
export function createFindCredential(
  read: Read,
  onFailure: (error: unknown, again: () => Promise<unknown>) => void,
): FindCredential {
  /** By their hash in hex. */
  const waiting = new Map<string, Waiting>()
  let isAsking = false

  const find = (hexes: readonly string[]) =>
    read(async (tx) => {
      const { rows } = await tx.execute<Row>(foundBy(hexes))
      return new Map(rows.map(({ hex, ...credential }) => [hex, credential]))
    })

  async function ask(): Promise<void> {
    isAsking = true
    while (waiting.size > 0) {
      const hexes = [...waiting.keys()].slice(0, HASHES_MAX)
      const asked = hexes.map((hex) => [hex, waiting.get(hex)] as const)
      for (const hex of hexes) waiting.delete(hex)
      try {
        const found = await find(hexes)
        for (const [hex, one] of asked) one?.resolve(found.get(hex) ?? null)
      } catch (error) {
        onFailure(error, () => find(hexes))
        // Nobody waits for a store that is sick.
        for (const one of [...asked.map(([, each]) => each), ...waiting.values()])
          one?.reject(error)
        waiting.clear()
      }
    }
    isAsking = false
  }

  return (hash) => {
    const hex = hash.toString('hex')
    const one = waiting.get(hex) ?? Promise.withResolvers<Credential | null>()
    waiting.set(hex, one)
    if (!isAsking) void ask()
    return one.promise
  }
}

/** A limit without an amount refuses nothing. Limits change with the revision of their key. */
const LIMITED_UNITS = sql`ARRAY(
  SELECT DISTINCT unit FROM limits WHERE key_seq = keys.seq AND amount IS NOT NULL)`

const COLUMNS = sql`seq, id, name, enabled, concurrency, revision, scope, reserve_max AS "reserveMax",
  ${LIMITED_UNITS} AS "limitedUnits"`

/** No hash is the present one of a key and the previous one of another. */
function foundBy(hexes: readonly string[]): SQL {
  // Of two instants, `least` takes the one that is there.
  return sql`
    WITH wanted AS (SELECT hex, decode(hex, 'hex') AS hash FROM unnest(${sql.param([...hexes])}::text[]) AS hex)
    SELECT hex, ${COLUMNS}, expires_at AS "expiresAt" FROM wanted JOIN keys ON keys.hash = wanted.hash
    UNION ALL
    SELECT hex, ${COLUMNS}, least(previous_until, expires_at) FROM wanted JOIN keys ON keys.previous_hash = wanted.hash`
}
