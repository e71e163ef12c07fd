/** Ends the calls that a crash has cut off, at the start. */
import type { Database } from 'bun:sqlite'
import { hourOf, type Rollup } from '../../ledger/settle.ts'
import { createRollUp, WRITE_CALL } from './entries.ts'

type HoldRow = Pick<Rollup, 'keySeq' | 'upstream' | 'requests' | 'tokens' | 'cost'> & {
  readonly at: number
}

/**
 * What was reserved stays charged, since the upstream may have done the work, and the entry says `interrupted`. Returns how
 * many holds there were.
 */
export function resolveInterrupted(client: Database): number {
  const rows = client
    .query<HoldRow, []>('SELECT key_seq AS keySeq, at, upstream, requests, tokens, cost FROM holds')
    .all()
  client.run(`${WRITE_CALL} SELECT seq, key_seq, at, upstream, request_id, 'interrupted', NULL, requests, requests,
    tokens, tokens, cost, cost, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, tokens + cost > 0, NULL, counters, NULL FROM holds`)
  client.run(
    'INSERT OR IGNORE INTO call_blocks (id) SELECT (key_seq << 32) | (seq >> 8) FROM holds',
  )
  const rest = { calls: 1, failed: 1, bytesIn: 0, bytesOut: 0, latencyMs: 0 }
  createRollUp(client)(
    rows.map(({ at, ...row }) => {
      const estimated = row.tokens + row.cost > 0 ? 1 : 0
      return { hour: hourOf(at), ...row, ...rest, model: '', estimated }
    }),
  )
  client.run('DELETE FROM holds')
  return rows.length
}
