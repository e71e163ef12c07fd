/** What has become of the keys that open WebSockets were opened with: one query on the unique indexes of hashes. */
import type { Database } from 'bun:sqlite'
import type { FindStandings } from '../../../domain/key.ts'
import { ask } from '../transact.ts'

type Row = { readonly hex: string; readonly enabled: number; readonly expiresAt: number | null }

export function createFindStandings(client: Database): FindStandings {
  const find = client.query<Row, [string]>(
    `WITH wanted AS (SELECT value AS hex, unhex(value) AS hash FROM json_each(?1))
     SELECT wanted.hex, enabled, expires_at AS expiresAt FROM wanted JOIN keys ON keys.hash = wanted.hash
     UNION ALL
     SELECT wanted.hex, enabled, min(previous_until, ifnull(expires_at, previous_until)) FROM wanted
       JOIN keys ON keys.previous_hash = wanted.hash`,
  )
  return (hashes) =>
    ask(() => {
      const rows = find.all(JSON.stringify(hashes.map((hash) => hash.toString('hex'))))
      return new Map(
        rows.map(({ hex, enabled, expiresAt }) => [hex, { enabled: enabled === 1, expiresAt }]),
      )
    })
}
