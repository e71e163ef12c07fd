/**
 * What a batch of the ledger sends to PostgreSQL, and what comes back: the arguments and the answer of `quota_write`
 * (drizzle/postgres/0001_ledger.sql). Names are those of the columns. Pure.
 */
import { NOT_METERED } from '../../../domain/call.ts'
import type { Hold, Settlement } from '../../../quota/ledger.ts'

/** Claims of one key, all of which its replica knows by one revision, and whose calendar periods are the same. */
export type Group = {
  readonly n: number
  readonly key: number
  readonly revision: number
  /** Null: the clock of the database says. */
  readonly at: number | null
  /** Whether the work was done already, so that nothing can be refused. */
  readonly record: boolean
  readonly gate?: string
  readonly gate_max?: number
}

/** `g` is the number of its group. Buckets and windows in ms, of windows that slide. */
export type GroupLimit = {
  readonly g: number
  readonly id: number
  readonly start: number
  readonly end: number | null
  readonly bucket?: number
  readonly window?: number
}

export type GroupCall = {
  readonly n: number
  readonly g: number
  readonly upstream: string
  readonly upstream_revision?: number
  readonly request_id: string
  readonly requests: number
  readonly tokens: number
  readonly cost: number
  readonly gate?: string
  readonly gate_max?: number
  readonly entry?: Entry
}

/** A row of `calls`, with the name under which its hour counts the model. */
export type Entry = Readonly<Record<string, unknown>>

export type Work = {
  readonly ended?: readonly Entry[]
  readonly groups?: readonly Group[]
  readonly limits?: readonly GroupLimit[]
  readonly calls?: readonly GroupCall[]
}

/** What became of a claim. `moved` is one whose upstream has changed since it was resolved. */
export type ClaimAnswer =
  | 'ok'
  | 'full'
  | 'again'
  | 'unknown'
  | 'disabled'
  | 'expired'
  | 'changed'
  | 'moved'
  | 'key_busy'
  | 'upstream_busy'

/** Of a window that slides: number, start, used, credited, held. */
export type BucketView = readonly [number, number, number, number, number]

/** Number of the group and of the counter, what other counters of the limit hold, what is credited, the buckets. */
export type LimitView = readonly [number, number, number, number, readonly BucketView[] | null]

export type Written = {
  /** The instant of the batch by the clock of the database, ms. */
  readonly now: number
  /** The revision of the upstreams in force. */
  readonly upstreams: number
  /** Number, tokens and cost of the holds that this batch has ended. */
  readonly ended: readonly (readonly [number, number, number])[]
  readonly counters: readonly number[]
  /** By counter, when what ended had made room, and before anything was reserved. */
  readonly used: readonly number[]
  readonly held: readonly number[]
  readonly states: readonly ClaimAnswer[]
  readonly limits: readonly LimitView[]
  readonly answers: readonly ClaimAnswer[] | null
  readonly seqs: readonly (number | null)[] | null
}

export function entryOf(
  { claim, charges, seq }: Pick<Hold, 'claim' | 'charges' | 'seq'>,
  {
    outcome,
    status,
    charged,
    latencyMs,
    bytesIn,
    bytesOut,
    metered = NOT_METERED,
    object,
  }: Settlement,
  rollup: string,
): Entry {
  const { key, at, upstream, requestId, units } = claim
  return {
    seq, key_seq: key.seq, at, upstream, request_id: requestId, outcome, status,
    requests_reserved: units.requests, requests_charged: charged.requests, tokens_reserved: units.tokens,
    tokens_charged: charged.tokens, cost_reserved: units.cost, cost_charged: charged.cost,
    latency_ms: latencyMs, bytes_in: bytesIn, bytes_out: bytesOut, model: metered.model, tokens_input: metered.input,
    tokens_output: metered.output, tokens_cached: metered.cached, tokens_reasoning: metered.reasoning,
    estimated: metered.estimated, price_list_id: metered.priceListId, usage_parts: metered.parts,
    counters: charges.map(({ counterId }) => counterId), rollup, ...(object !== undefined && { object }),
  } // biome-ignore format: the order of the table
}
