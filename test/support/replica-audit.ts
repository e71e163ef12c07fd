/**
 * Compares what clients and the upstream saw of replicas with the books. Names each promise that was broken, with an example;
 * nothing is told twice. What clients did not see may have happened or not, and is charged at most once.
 */
import { sql } from './postgres.ts'
import type { Call } from './replica-load.ts'

export type Granted = {
  readonly id: string
  /** Requests for ever, or in every minute, or tokens; null is no limit. */
  readonly kind: 'requests' | 'minute' | 'tokens' | 'calls at once'
  readonly amount: number
}

type Entry = {
  readonly seq: number
  readonly id: string
  readonly at: number
  readonly outcome: string
  readonly requests: number
  readonly tokens: number
}

type Evidence = {
  readonly keys: readonly Granted[]
  readonly calls: readonly Call[]
  readonly hits: ReadonlyMap<number, number>
}

/** Of a client that has been waiting, or whose connection was cut, nothing is known. */
const EXPLAINED = new Set([200, 429, 503])

export async function audit(database: string, { keys, calls, hits }: Evidence): Promise<string[]> {
  const entries = await sql<Entry>(
    database,
    `SELECT c.seq, k.id, c.at, c.outcome, c.requests_charged AS requests, c.tokens_charged AS tokens
     FROM calls c JOIN keys k ON k.seq = c.key_seq ORDER BY c.at`,
  )
  const used = await usedOf(database)
  const entryOf = new Map(entries.map((entry) => [Number(entry.seq), entry]))
  const callsOf = Map.groupBy(calls, ({ key }) => key)
  const entriesOf = Map.groupBy(entries, ({ id }) => id)
  const all = keys.flatMap((key, number) => {
    const own = callsOf.get(number) ?? []
    const booked = entriesOf.get(key.id) ?? []
    const faults = [
      ...amountFaults(key, booked, used.get(key.id) ?? 0),
      ...callFaults(own, booked, hits),
      ...own.flatMap((call) => [...answerFaults(call, key, entryOf)]),
    ]
    return faults.map((fault) => `${key.kind} of ${key.id}: ${fault}`)
  })
  const told = calls.flatMap(({ answer }) => answer?.charge ?? [])
  if (new Set(told).size !== told.length) all.push('an entry was told to two calls')
  return all
}

async function usedOf(database: string): Promise<Map<string, number>> {
  const rows = await sql<{ id: string; used: number }>(
    database,
    `SELECT k.id, sum(c.used)::bigint AS used FROM counters c JOIN limits l ON l.id = c.limit_id JOIN keys k ON k.seq = l.key_seq
     WHERE c.amount IS NOT NULL AND c.period_end IS NULL GROUP BY k.id`,
  )
  return new Map(rows.map((row) => [row.id, Number(row.used)]))
}

const WINDOW_MS = 60_000
/** More tokens than are reserved for a call: with so many left it is let in. */
const TOKENS_MAX = 60

/** Never more than the amount, and what is used is what is booked. */
function* amountFaults({ kind, amount }: Granted, booked: readonly Entry[], used: number) {
  if (kind === 'calls at once') return
  if (kind === 'minute') {
    const ats = booked.filter(({ requests }) => requests > 0).map(({ at }) => Number(at))
    const early = ats.findIndex((at, i) => (ats[i + amount] ?? Infinity) - at < WINDOW_MS)
    if (early >= 0) yield `more than ${amount} calls in the minute from ${ats[early]}`
    return
  }
  const charged = booked.reduce((sum, entry) => sum + Number(entry[kind]), 0)
  if (charged !== used) yield `${charged} are booked, and ${used} are used`
  if (used > amount) yield `${used} of ${amount} were granted`
  const left = kind === 'tokens' ? TOKENS_MAX : 0
  if (used + left < amount) yield `only ${used} of ${amount} were granted`
}

/** Each call reaches the upstream once at most, and nothing is charged that nobody can have asked for. */
function* callFaults(
  calls: readonly Call[],
  booked: readonly Entry[],
  hits: ReadonlyMap<number, number>,
) {
  const charged = booked.filter(({ requests }) => requests > 0).length
  const granted = calls.filter(({ answer }) => answer?.status === 200).length
  const unknown = calls.filter(({ answer }) => answer === null).length
  const total = calls.reduce((sum, { id }) => sum + (hits.get(id) ?? 0), 0)
  if (charged < granted) yield `${granted} were granted, and ${charged} are charged`
  // A batch may be written whose answer is lost with the connection, and its replica be taken for dead before it can ask: then
  // its calls are charged as interrupted, and charged again when they are made.
  const told = new Set(calls.map(({ answer }) => answer?.charge))
  const untold = booked.filter(
    ({ seq, requests, outcome }) =>
      requests > 0 && outcome !== 'interrupted' && !told.has(Number(seq)),
  )
  if (untold.length > unknown)
    yield `${untold.length} are charged that nobody was told of, and ${unknown} have no answer`
  if (total > charged) yield `${total} reached the upstream, and ${charged} are charged`
  for (const { id, answer } of calls) {
    const times = hits.get(id) ?? 0
    if (times > 1) yield `call ${id} reached the upstream ${times} times`
    if (answer?.status === 200 && times === 0) yield `call ${id} was made up`
    if (answer && answer.status !== 200 && times > 0)
      yield `call ${id} reached the upstream and was answered ${answer.status} ${answer.code}`
  }
}

function* answerFaults(
  { id, answer }: Call,
  key: Granted,
  entryOf: ReadonlyMap<number, Entry>,
): Generator<string> {
  if (!answer) return
  if (!EXPLAINED.has(answer.status)) yield `call ${id} was answered ${answer.status} ${answer.code}`
  if (answer.status !== 200) return
  const entry = answer.charge === null ? undefined : entryOf.get(answer.charge)
  if (entry?.id !== key.id) yield `call ${id} has no entry: it was told ${answer.charge}`
  else if (Number(entry.requests) !== 1) yield `call ${id} is charged ${entry.requests} times`
}

export type Rest = { readonly holds: number; readonly held: number; readonly inFlight: number }

/** What is still taken to be under way. */
export async function restOf(database: string): Promise<Rest> {
  const [row] = await sql<Rest>(
    database,
    `SELECT (SELECT count(*) FROM holds)::integer AS holds, (SELECT coalesce(sum(held), 0) FROM counters)::integer AS held,
       (SELECT coalesce(sum(calls), 0) FROM in_flight)::integer AS "inFlight"`,
  )
  if (!row) throw new Error('the database gave no answer')
  return row
}
