/**
 * Compares what clients, the upstream and the admin saw with what stands in the books, and names every promise that was
 * broken. Pure. It takes nothing that the server says of itself for granted where there is a second witness.
 */
import {
  type Account,
  type Answer,
  type CallRecord,
  type Evidence,
  type KeyRecord,
  undecided,
} from './evidence.ts'

/** Every way to break a promise, and what its units are. */
export const FAULTS = {
  oversold: 'units granted beyond an amount',
  lost: 'charges told to clients that the books do not have',
  phantom: 'charges that no client asked for',
  short: 'units refused though they were left',
  double: 'requests that reached the upstream more than once, or unpaid',
  repeated: 'ledger entries told to more than one call',
  disorder: 'grants counted in another order than they were made',
  unbalanced: 'units by which ledger, rollup and counters differ',
  leaked: 'holds left open by a restart or a stop',
  unrefunded: 'refunds told to clients and not made',
  revoked: 'calls let in after their key was revoked',
  unexpected: 'answers that no promise explains',
  corrupt: 'damage to the database file',
  unfinished: 'steps of the experiment that the server did not survive',
} as const
export type Fault = keyof typeof FAULTS

export type Violation = { readonly fault: Fault; readonly units: number; readonly text: string }

/** One key with everything that is known of it. */
type Case = {
  readonly key: KeyRecord
  readonly calls: readonly CallRecord[]
  /** Answers of calls that were let in, and those of them that cost something. */
  readonly granted: readonly Answer[]
  readonly paid: readonly Answer[]
  /** Calls without an answer, and those that were refused while the database was away and stand in the books. */
  readonly unknown: number
  /** Values of `used` that clients and the admin were told. */
  readonly told: readonly number[]
  readonly account: Account
}

const NO_ACCOUNT: Account = { used: 0, entries: 0, charged: 0, pruned: 0, held: 0, rolledUp: 0 }

export function audit(evidence: Evidence): Violation[] {
  const { integrity } = evidence.books
  return [
    ...cases(evidence).flatMap((one) => [
      ...checkAmount(one),
      ...checkAnswers(one, evidence),
      ...checkBooks(one),
      ...checkUpstream(one, evidence.hits),
      // Answers that were lost with the database are told anew, with what is used by then.
      ...(evidence.databaseKilled ? [] : checkOrder(one)),
      ...checkConduct(one, evidence),
    ]),
    ...checkNumbers(evidence.calls),
    ...evidence.holdsAtStart.flatMap((holds, i) =>
      found('leaked', holds, `start ${i + 1} left ${holds} holds open`),
    ),
    ...found('corrupt', integrity === 'ok' ? 0 : 1, `the database says: ${integrity}`),
  ]
}

function cases({ keys, calls, reads, books, databaseKilled }: Evidence): Case[] {
  const callsOf = Map.groupBy(calls, (call) => call.key)
  const readsOf = Map.groupBy(reads, (read) => read.key)
  return keys.map((key, index) => {
    const own = callsOf.get(index) ?? []
    const answers = own.flatMap(({ answer }) => (answer ? [answer] : []))
    const granted = answers.filter(({ charge }) => charge !== null)
    return {
      key,
      calls: own,
      granted,
      paid: granted.filter(({ cost }) => cost > 0),
      unknown: own.length - answers.length + (databaseKilled ? undecided(key, answers, books) : 0),
      told: [...answers, ...(readsOf.get(index) ?? [])].flatMap(({ used }) => used ?? []),
      account: books.accounts.get(key.id) ?? NO_ACCOUNT,
    }
  })
}

/** Never more than the amount, at any reading; and never less: who is told that it is used up is told the truth. */
function checkAmount({ key, calls, paid, told, account: { used } }: Case): Violation[] {
  const { id, amount } = key
  const most = told.reduce((a, b) => Math.max(a, b), Math.max(used, paid.length))
  let exhaustedAt = Infinity
  for (const { endedAt, answer } of calls) {
    if (answer?.code === 'insufficient_quota' && endedAt !== null)
      exhaustedAt = Math.min(exhaustedAt, endedAt)
  }
  const left = key.drained || exhaustedAt < Infinity ? amount - used : 0
  const later = calls.filter((call) => isGranted(call) && call.begunAt > exhaustedAt).length
  return [
    ...found('oversold', most - amount, `${id}: ${most} granted of ${amount}`),
    ...found('short', left, `${id}: ${left} of ${amount} were refused though they were left`),
    ...found('short', later, `${id}: ${later} calls were let in after it was said to be used up`),
  ]
}

/** What clients were told stands in the ledger, and nothing stands there that none of them can have asked for. */
function checkAnswers(one: Case, { books }: Evidence): Violation[] {
  const { key, granted, paid, unknown, account } = one
  const { id } = key
  const entryOf = ({ charge }: Answer) => {
    const entry = charge === null ? undefined : books.entries.get(charge)
    return entry?.keyId === id ? entry : undefined
  }
  const lost = granted.filter((answer) => (entryOf(answer)?.charged ?? -1) < answer.cost)
  const taken = granted.filter((answer) => (entryOf(answer)?.charged ?? 0) > answer.cost)
  // The refund was told as the answer went out, and the kill came before it was written: that call counts as interrupted.
  const cutOff = taken.filter((answer) => entryOf(answer)?.outcome === 'interrupted').length
  const unrefunded = taken.length - cutOff
  const unasked = account.used - paid.length - unknown - taken.length
  const uncalled = account.entries - granted.length - unknown
  const example = lost[0]?.charge
  return [
    ...found(
      'lost',
      lost.length,
      `${id}: ${lost.length} charges told are not there, first ${example}`,
    ),
    ...found(
      'lost',
      paid.length - account.used,
      `${id}: ${paid.length} charges told, ${account.used} used`,
    ),
    ...found('unrefunded', unrefunded, `${id}: ${unrefunded} calls told to be free were charged`),
    ...found('phantom', unasked, `${id}: ${unasked} of ${account.used} used were never asked for`),
    ...found(
      'phantom',
      uncalled,
      `${id}: ${uncalled} of ${account.entries} entries are of no call`,
    ),
  ]
}

/** Counters, ledger, rollup and holds tell one story, and nothing is left open. */
function checkBooks({ key: { id }, account }: Case): Violation[] {
  const { used, charged, held, pruned, rolledUp } = account
  const gap = Math.abs(charged + held + pruned - used)
  const drift = Math.abs(rolledUp - charged - pruned)
  return [
    ...found(
      'unbalanced',
      gap,
      `${id}: the ledger says ${charged + held + pruned}, the counters ${used}`,
    ),
    ...found('unbalanced', drift, `${id}: the ledger says ${charged}, the rollup ${rolledUp}`),
    ...found('leaked', held, `${id}: ${held} units are held though nothing is in flight`),
  ]
}

/** A call reaches the upstream once at most, and only if it was charged before. */
function checkUpstream({ key: { id }, calls, account }: Case, hits: Evidence['hits']): Violation[] {
  const hitsOf = (call: CallRecord) => hits.get(call.id) ?? 0
  const total = calls.reduce((sum, call) => sum + hitsOf(call), 0)
  const again = calls.reduce((sum, call) => sum + Math.max(0, hitsOf(call) - 1), 0)
  const refused = calls.filter(({ answer }) => answer !== null && answer.charge === null)
  const unpaid = refused.reduce((sum, call) => sum + hitsOf(call), 0)
  const beyond = total - account.entries
  return [
    ...found('double', again, `${id}: ${again} requests reached the upstream again`),
    ...found('double', unpaid, `${id}: ${unpaid} refused calls reached the upstream`),
    ...found(
      'double',
      beyond,
      `${id}: ${total} reached the upstream, ${account.entries} are booked`,
    ),
  ]
}

/** Where nothing is refunded: if one call ended before another began, it was told a smaller number. */
function checkOrder({ key, calls }: Case): Violation[] {
  if (!key.steady) return []
  const granted = calls.flatMap(({ begunAt, endedAt, answer }) =>
    answer && answer.charge !== null && answer.used !== null
      ? [{ begunAt, endedAt: endedAt ?? Infinity, used: answer.used }]
      : [],
  )
  const byEnd = granted.toSorted((a, b) => a.endedAt - b.endedAt)
  let ended = 0
  let highest = -1
  let late = 0
  for (const call of granted.toSorted((a, b) => a.begunAt - b.begunAt)) {
    for (let next = byEnd[ended]; next && next.endedAt < call.begunAt; next = byEnd[++ended]) {
      highest = Math.max(highest, next.used)
    }
    if (call.used <= highest) late++
  }
  const twice = granted.length - new Set(granted.map(({ used }) => used)).size
  return [
    ...found('disorder', late, `${key.id}: ${late} calls were told a number below an older one`),
    ...found('disorder', twice, `${key.id}: ${twice} calls were told a number told before`),
  ]
}

/** A ledger entry belongs to one call. */
function checkNumbers(calls: readonly CallRecord[]): Violation[] {
  const numbers = calls.flatMap(({ answer }) => answer?.charge ?? [])
  const twice = numbers.length - new Set(numbers).size
  return found('repeated', twice, `${twice} ledger entries were told to more than one call`)
}

/** Revoked means revoked, and every answer is one that the promises explain. */
function checkConduct({ key, calls }: Case, evidence: Evidence): Violation[] {
  const { id, revokedAt } = key
  const after = calls.filter(
    (call) => isGranted(call) && revokedAt !== null && call.begunAt > revokedAt,
  ).length
  const odd = calls.filter((call) => !isExplained(call, key, evidence))
  const first = odd[0]?.answer
  const example = first ? `${first.status} ${first.code ?? ''}`.trimEnd() : 'no answer'
  return [
    ...found('revoked', after, `${id}: ${after} calls were let in after it was revoked`),
    ...found(
      'unexpected',
      odd.length,
      `${id}: ${odd.length} unexplained answers, first: ${example}`,
    ),
  ]
}

function isExplained({ answer, cut, life }: CallRecord, key: KeyRecord, seen: Evidence): boolean {
  const wasKilled = seen.killed.has(life)
  if (answer === null) return wasKilled || cut
  if (answer.charge === null) {
    if (answer.code === 'api_key_disabled') return key.revoking
    if (answer.code === 'storage_unavailable') return seen.databaseKilled
    return answer.code === 'insufficient_quota' || answer.code === 'quota_reserved'
  }
  // An upstream that fails costs nothing, and one that answers costs one.
  if (answer.cost !== (answer.status < 500 ? 1 : 0)) return false
  return !key.steady || wasKilled || (answer.status === 200 && answer.whole)
}

function isGranted({ answer }: CallRecord): boolean {
  return answer !== null && answer.charge !== null
}

function found(fault: Fault, units: number, text: string): Violation[] {
  return units > 0 ? [{ fault, units, text }] : []
}
