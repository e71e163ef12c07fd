/**
 * The book itself: holds while calls are in flight, one entry per call when it has ended, and sums by the hour, all written
 * in the ledger's transaction. An entry is written once and never changed.
 */
import type { Database } from 'bun:sqlite'
import { NOT_METERED } from '../../../domain/call.ts'
import type { Hold, Settlement } from '../../../quota/ledger.ts'
import type { Rollup } from '../../ledger/settle.ts'

/** The number of the next call: higher than every number ever given out, since the newest entry is never pruned. */
export const NEXT_SEQ = `SELECT 1 + max(coalesce((SELECT max(seq) FROM calls), 0), coalesce((SELECT max(seq) FROM holds), 0)) AS seq`

export const WRITE_CALL = `INSERT INTO calls (seq, key_seq, at, upstream, request_id, outcome, status, requests_reserved,
  requests_charged, tokens_reserved, tokens_charged, cost_reserved, cost_charged, latency_ms, bytes_in, bytes_out,
  model, tokens_input, tokens_output, tokens_cached, tokens_reasoning, estimated, price_list_id, counters, usage_parts)`

const ROLL_UP = `INSERT INTO usage_hourly
    (hour, key_seq, upstream, model, calls, failed, requests, tokens, cost, bytes_in, bytes_out, latency_ms, estimated)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (hour, key_seq, upstream, model) DO UPDATE SET calls = calls + excluded.calls, failed = failed + excluded.failed,
    requests = requests + excluded.requests, tokens = tokens + excluded.tokens, cost = cost + excluded.cost,
    bytes_in = bytes_in + excluded.bytes_in, bytes_out = bytes_out + excluded.bytes_out,
    latency_ms = latency_ms + excluded.latency_ms, estimated = estimated + excluded.estimated`

export type Entries = ReturnType<typeof createEntries>

export function createEntries(client: Database) {
  const open = client.query(
    `INSERT INTO holds (seq, key_seq, at, upstream, request_id, requests, tokens, cost, counters)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const blocks = createBlocks(client)
  let nextSeq = client.query<{ seq: number }, []>(NEXT_SEQ).get()?.seq ?? 1
  const close = client.query('DELETE FROM holds WHERE seq = ?')
  const write = client.query(
    `${WRITE_CALL} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )

  return {
    /** The number of the next call. */
    next: (): number => nextSeq++,

    open({ seq, claim: { key, at, upstream, requestId, units }, charges }: Hold): void {
      const { requests, tokens, cost } = units
      open.run(seq, key.seq, at, upstream, requestId, requests, tokens, cost, numbersOf(charges))
    },

    /** False if the hold had ended before. */
    close: (seq: number): boolean => close.run(seq).changes === 1,

    write(
      { seq, claim, charges }: Hold,
      { outcome, status, charged, latencyMs, bytesIn, bytesOut, metered = NOT_METERED }: Settlement,
    ): void {
      const { key, at, upstream, requestId, units } = claim
      write.run(
        seq, key.seq, at, upstream, requestId, outcome, status, units.requests, charged.requests,
        units.tokens, charged.tokens, units.cost, charged.cost, latencyMs, bytesIn, bytesOut,
        metered.model, metered.input, metered.output, metered.cached, metered.reasoning, metered.estimated,
        metered.priceListId, numbersOf(charges), metered.parts && JSON.stringify(metered.parts),
      ) // biome-ignore format: one column a line would hide the order
      blocks.note(key.seq, seq)
    },

    /** Forgets what was noted of a transaction that was not written. */
    forget: blocks.forget,

    rollUp: createRollUp(client),
  }
}

export function createRollUp(client: Database): (rollups: Iterable<Rollup>) => void {
  const rollUp = client.query(ROLL_UP)
  return (rollups) => {
    for (const { hour, keySeq, upstream, model, calls, failed, requests, tokens, cost, ...rest } of rollups)
      rollUp.run(
        hour, keySeq, upstream, model, calls, failed, requests, tokens, cost, rest.bytesIn, rest.bytesOut, rest.latencyMs,
        rest.estimated,
      ) // biome-ignore format: one column a line would hide the order
  }
}

/** Notes in which blocks of 256 numbers a key has entries, which is how they are found by key. */
function createBlocks(client: Database) {
  const add = client.query('INSERT OR IGNORE INTO call_blocks (id) VALUES ((?1 << 32) | (?2 >> 8))')
  /** The newest block of each key, so that it is written once. */
  const newest = new Map<number, number>()
  return {
    note(keySeq: number, seq: number): void {
      const block = Math.floor(seq / BLOCK_CALLS)
      if (newest.get(keySeq) === block) return
      add.run(keySeq, seq)
      if (newest.size >= KEYS_MAX) newest.clear()
      newest.set(keySeq, block)
    },
    forget: () => newest.clear(),
  }
}

/** Of `call_blocks`. */
export const BLOCK_CALLS = 256

const KEYS_MAX = 100_000

/** A list in JSON, which SQLite takes apart by itself. */
function numbersOf(charges: Hold['charges']): string {
  let numbers = ''
  for (const { counterId } of charges) numbers += numbers === '' ? counterId : `,${counterId}`
  return `[${numbers}]`
}
