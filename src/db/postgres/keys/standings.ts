/** What has become of the keys that open WebSockets were opened with: one question on the unique indexes of hashes. */
import { sql } from 'drizzle-orm'
import type { FindStandings, Standing } from '../../../domain/key.ts'
import type { Read } from '../transact.ts'

type Row = Standing & { readonly hex: string }

export function createFindStandings(read: Read): FindStandings {
  return (hashes) =>
    read(async (tx) => {
      const wanted = sql.param(hashes.map((hash) => hash.toString('hex')))
      // Of two instants, `least` takes the one that is there.
      const { rows } = await tx.execute<Row>(sql`
        WITH wanted AS (SELECT hex, decode(hex, 'hex') AS hash FROM unnest(${wanted}::text[]) AS hex)
        SELECT hex, enabled, expires_at AS "expiresAt" FROM wanted JOIN keys ON keys.hash = wanted.hash
        UNION ALL
        SELECT hex, enabled, least(previous_until, expires_at) FROM wanted JOIN keys ON keys.previous_hash = wanted.hash`)
      return new Map(rows.map(({ hex, enabled, expiresAt }) => [hex, { enabled, expiresAt }]))
    })
}
