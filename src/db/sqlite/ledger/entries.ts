/**
 * The book itself: holds while calls are in flight, one entry per call when it has ended, and the hourly rollup, all
 * written in the ledger's transaction. An entry is written once and never changed.
 */
import type { Database } from 'bun:sqlite'
import { NOT_METERED } from '../../../domain/call.ts'
import type { Hold, Settlement } from '../../../quota/ledger.ts'

const HOUR_MS = 3_600_000

const NEXT_SEQ = `SELECT 1 + max(coalesce((SELECT max(seq) FROM calls), 0), coalesce((SELECT max(seq) FROM holds), 0)) AS seq`

const WRITE_CALL = `INSERT INTO calls (seq, key_seq, at, upstream, request_id, outcome, status, requests_reserved,
  requests_charged, tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out,
  model, tokens_input, tokens_output, tokens_cached, tokens_reasoning, estimated, price_list_id, counters)`

const ROLL_UP = `INSERT INTO usage_hourly
    (hour, key_seq, upstream, calls, failed, requests, tokens, cost, bytes_in, bytes_out, latency_ms)
  VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (hour, key_seq, upstream) DO UPDATE SET calls = calls + 1, failed = failed + excluded.failed,
    requests = requests + excluded.requests, tokens = tokens + excluded.tokens, cost = cost + excluded.cost,
    bytes_in = bytes_in + excluded.bytes_in, bytes_out = bytes_out + excluded.bytes_out,
    latency_ms = latency_ms + excluded.latency_ms`

type OpenHold = Pick<Hold, 'seq' | 'claim' | 'charges'>

type HoldRow = {
  seq: number
  key_seq: number
  at: number
  upstream: string
  requests: number
  tokens: number
  cost: number
}

export type Entries = ReturnType<typeof createEntries>

export function createEntries(client: Database) {
  const nextSeq = client.query<{ seq: number }, []>(NEXT_SEQ)
  const open = client.query(
    `INSERT INTO holds (seq, key_seq, at, upstream, request_id, requests, tokens, cost, counters)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const close = client.query('DELETE FROM holds WHERE seq = ?')
  const write = client.query(
    `${WRITE_CALL} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const rollUp = client.query(ROLL_UP)

  return {
    /** Higher than every number ever given out: the newest entry is never pruned. */
    nextSeq: () => nextSeq.get()?.seq ?? 1,

    open({ seq, claim: { key, at, upstream, requestId, units }, charges }: OpenHold): void {
      const { requests, tokens, cost } = units
      open.run(seq, key.seq, at, upstream, requestId, requests, tokens, cost, numbersOf(charges))
    },

    /** False if the hold had ended before. */
    close: (seq: number): boolean => close.run(seq).changes === 1,

    write(
      { seq, claim, charges }: OpenHold,
      { outcome, status, charged, latencyMs, bytesIn, bytesOut, metered = NOT_METERED }: Settlement,
    ): void {
      const { key, at, upstream, requestId, units } = claim
      write.run(
        seq, key.seq, at, upstream, requestId, outcome, status, units.requests, charged.requests,
        units.tokens, charged.tokens, units.cost, charged.cost, latencyMs, bytesIn, bytesOut,
        metered.model, metered.input, metered.output, metered.cached, metered.reasoning, metered.estimated,
        metered.priceListId, numbersOf(charges),
      ) // biome-ignore format: one column a line would hide the order
      const failed = outcome === 'answered' && status !== null && status < 500 ? 0 : 1
      rollUp.run(
        hourOf(at),
        key.seq,
        upstream,
        failed,
        charged.requests,
        charged.tokens,
        charged.cost,
        bytesIn,
        bytesOut,
        latencyMs,
      )
    },

    /**
     * Ends the holds that a crash has left open: what was reserved stays charged, since the upstream may have done the
     * work, and the entry says `interrupted`. Returns how many there were.
     */
    resolveInterrupted(): number {
      const rows = client.query<HoldRow, []>('SELECT * FROM holds ORDER BY seq').all()
      client.run(`${WRITE_CALL} SELECT seq, key_seq, at, upstream, request_id, 'interrupted', NULL, requests, requests,
        tokens, tokens, cost, cost, 0, 0, 0, NULL, NULL, NULL, NULL, NULL, tokens + cost > 0, NULL, counters FROM holds`)
      for (const row of rows) {
        rollUp.run(
          hourOf(row.at),
          row.key_seq,
          row.upstream,
          1,
          row.requests,
          row.tokens,
          row.cost,
          0,
          0,
          0,
        )
      }
      client.run('DELETE FROM holds')
      return rows.length
    },
  }
}

/** A list in JSON, which SQLite takes apart by itself. */
function numbersOf(charges: Hold['charges']): string {
  let numbers = ''
  for (const { counterId } of charges) numbers += numbers === '' ? counterId : `,${counterId}`
  return `[${numbers}]`
}

function hourOf(at: number): number {
  return at - (at % HOUR_MS)
}
