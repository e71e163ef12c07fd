/**
 * What a batch of the ledger sends to PostgreSQL, and what comes back: the arguments and the answer of `quota_write`
 * (drizzle/postgres/0001_ledger.sql). Pure.
 */
import { NOT_METERED } from '../../../domain/call.ts'
import type { Hold, Settlement } from '../../../quota/ledger.ts'

/** Claims of one key, all of which its replica knows by one revision, and whose calendar periods are the same. */
export type Group = {
  readonly key: number
  readonly revision: number
  /** Null: the clock of the database says. */
  readonly at: number | null
  /** Whether the work was done already, so that nothing can be refused. */
  readonly isRecord: boolean
  readonly gate: Gate | null
  /** The places of its limits, from 1; the last is before the first if it has none. */
  readonly first: number
  readonly last: number
}

/** What bounds calls in flight: one row of `in_flight`. */
export type Gate = { readonly name: string; readonly max: number }

/** `group` is the place of its group, from 1. */
export type GroupLimit = {
  readonly group: number
  readonly id: number
  readonly start: number
  readonly end: number | null
  /** Of a window that slides; null of a calendar's. */
  readonly bucketMs: number | null
  readonly windowMs: number | null
}

export type GroupCall = {
  readonly group: number
  readonly requests: number
  readonly tokens: number
  readonly cost: number
  readonly gate: Gate | null
  readonly upstream: string
  readonly upstreamRevision: number | null
  readonly requestId: string
  /** Of work that was done already. */
  readonly entry: Entry | null
}

/** A row of `calls`, with the name under which its hour counts the model. */
export type Entry = Readonly<Record<string, unknown>>

export type Work = {
  readonly ended: readonly Entry[]
  readonly groups: readonly Group[]
  readonly limits: readonly GroupLimit[]
  readonly calls: readonly GroupCall[]
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
  readonly credited: readonly number[]
  /** By limit: its counter, and what other counters of a window that slides hold. */
  readonly of: readonly (number | null)[] | null
  readonly other: readonly number[] | null
  readonly buckets: readonly (readonly BucketView[] | null)[] | null
  readonly answers: readonly ClaimAnswer[] | null
  readonly seqs: readonly (number | null)[] | null
}

/** Replica, epoch and batch come first. */
export const WRITE = `SELECT quota_write($1, $2, $3, $4::jsonb, $5::bigint[], $6::integer[], $7::bigint[], $8::boolean[], $9::text[],
  $10::integer[], $11::integer[], $12::integer[], $13::integer[], $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
  $18::bigint[], $19::integer[], $20::bigint[], $21::text[], $22::integer[], $23::text[], $24::bigint[], $25::text[],
  $26::jsonb[]) AS written`

export function argumentsOf({ ended, groups, limits, calls }: Work): (string | null)[] {
  const hasGate = (list: readonly { readonly gate: Gate | null }[]) =>
    list.some(({ gate }) => gate !== null)
  const hasRevision = calls.some(({ upstreamRevision }) => upstreamRevision !== null)
  const hasEntry = calls.some(({ entry }) => entry !== null)
  return [
    ended.length > 0 ? JSON.stringify(ended) : null,
    plain(groups, ({ key }) => key),
    plain(groups, ({ revision }) => revision),
    plain(groups, ({ at }) => at),
    plain(groups, ({ isRecord }) => isRecord),
    hasGate(groups) ? texts(groups, ({ gate }) => gate?.name ?? null) : null,
    hasGate(groups) ? plain(groups, ({ gate }) => gate?.max ?? null) : null,
    plain(groups, ({ first }) => first),
    plain(groups, ({ last }) => last),
    plain(limits, ({ group }) => group),
    plain(limits, ({ id }) => id),
    plain(limits, ({ start }) => start),
    plain(limits, ({ end }) => end),
    plain(limits, ({ bucketMs }) => bucketMs),
    plain(limits, ({ windowMs }) => windowMs),
    plain(calls, ({ group }) => group),
    plain(calls, ({ requests, tokens, cost }) => `${requests},${tokens},${cost}`),
    hasGate(calls) ? texts(calls, ({ gate }) => gate?.name ?? null) : null,
    hasGate(calls) ? plain(calls, ({ gate }) => gate?.max ?? null) : null,
    texts(calls, ({ upstream }) => upstream),
    hasRevision ? plain(calls, ({ upstreamRevision }) => upstreamRevision) : null,
    texts(calls, ({ requestId }) => requestId),
    hasEntry ? texts(calls, ({ entry }) => entry && JSON.stringify(entry)) : null,
  ]
}

/** An array as PostgreSQL writes it: numbers and words need no quotes. */
function plain<T>(list: readonly T[], of: (one: T) => unknown): string {
  let text = ''
  for (const one of list) text += `${text === '' ? '' : ','}${of(one) ?? 'NULL'}`
  return `{${text}}`
}

function texts<T>(list: readonly T[], of: (one: T) => string | null): string {
  return plain(list, (one) => {
    const text = of(one)
    return text === null ? null : `"${text.replace(/["\\]/g, '\\$&')}"`
  })
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
