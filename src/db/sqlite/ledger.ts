/**
 * The quota ledger on SQLite: group commit. Everything asked for in one turn of the event loop shares one transaction,
 * and nobody is answered before it is committed. If the store fails, what asked for quota is refused and what must still
 * be written is kept and written again until it succeeds.
 */
import type { Database } from 'bun:sqlite'
import type { Balance, Claim, Hold, Ledger, Reservation, Settlement } from '../../quota/ledger.ts'
import { createCharger } from './charge.ts'
import { createEntries } from './entries.ts'

type ReserveJob = {
  readonly kind: 'reserve'
  readonly claim: Claim
  readonly resolve: (reservation: Reservation) => void
  answer?: Reservation
}
type SettleJob = {
  readonly kind: 'settle'
  readonly hold: Hold
  readonly settlement: Settlement
  readonly resolve: (balances: readonly Balance[]) => void
  answer?: readonly Balance[]
}
type Job = ReserveJob | SettleJob

/** How long to wait before writing settlements again after the store has failed. */
const RETRY_MS = 250

/** How long `flush` waits for a healthy store; a stop must not hang on a sick one. */
const FLUSH_MS = 5_000

export type LedgerEvents = {
  /** The store has failed; not called again until it has recovered. */
  onFailure(error: unknown): void
  onRecovery(): void
  /** The store rejects this one call by itself, a defect: it is given up so that the others can go on. */
  onRejected(error: unknown): void
}

export function createLedger(
  client: Database,
  events: LedgerEvents,
): Ledger & { readonly failing: boolean } {
  const entries = createEntries(client)
  const held = new Map<number, number>()
  const charger = createCharger(client, entries, (counterId) => held.get(counterId) ?? 0)

  let queue: Job[] = []
  let scheduled = false
  let failing = false
  const open = new Set<number>()
  const settling = new Set<Promise<unknown>>()

  function enqueue(job: Job): void {
    queue.push(job)
    if (scheduled) return
    scheduled = true
    setImmediate(run)
  }

  function run(): void {
    scheduled = false
    const jobs = queue
    queue = []
    attempt(jobs)
  }

  function attempt(jobs: readonly Job[]): void {
    const error = commit(jobs)
    if (error === null) {
      for (const job of jobs) finish(job)
      if (failing) events.onRecovery()
      failing = false
    } else if (!isConstraint(error)) {
      postpone(jobs, error)
    } else if (jobs.length > 1) {
      // One entry that the store rejects must not take down the others that happened to share its transaction.
      for (const job of jobs) attempt([job])
    } else {
      events.onRejected(error)
      for (const job of jobs) finish(job)
    }
  }

  /** Null with all of the batch written, or the error with nothing of it written. */
  function commit(jobs: readonly Job[]): unknown {
    try {
      client.run('BEGIN IMMEDIATE')
      for (const job of jobs) if (job.kind === 'settle') job.answer = settle(job)
      for (const group of byKey(jobs)) reserve(group)
      client.run('COMMIT')
      return null
    } catch (error) {
      // SQLite ends the transaction by itself on some errors (disk full, I/O) and not on others.
      if (client.inTransaction) client.run('ROLLBACK')
      for (const job of jobs) {
        if (job.kind === 'reserve' && job.answer?.ok) hold(job.answer.hold, -1)
        delete job.answer
      }
      charger.forget()
      return error ?? new Error('the store failed without saying why')
    }
  }

  function reserve(group: readonly ReserveJob[]): void {
    const together = charger.chargeTogether(group.map((job) => job.claim))
    group.forEach((job, i) => {
      job.answer = together?.[i] ?? charger.chargeAlone(job.claim)
      if (job.answer.ok) hold(job.answer.hold, 1)
    })
  }

  function settle(job: SettleJob): readonly Balance[] {
    if (!entries.close(job.hold.seq)) return job.hold.balances
    entries.write(job.hold, job.settlement)
    return charger.correct(job.hold, job.settlement)
  }

  /** Keeps count of how much of each counter belongs to calls in flight. */
  function hold({ claim, charges }: Hold, sign: 1 | -1): void {
    for (const { counterId, unit } of charges) {
      const units = (held.get(counterId) ?? 0) + sign * claim.units[unit]
      if (units > 0) held.set(counterId, units)
      else held.delete(counterId)
    }
  }

  /** Tells the caller. */
  function finish(job: Job): void {
    if (job.kind === 'settle') {
      hold(job.hold, -1)
      job.resolve(job.answer ?? job.hold.balances)
    } else {
      if (job.answer?.ok) open.add(job.answer.hold.seq)
      job.resolve(job.answer ?? UNAVAILABLE)
    }
  }

  function postpone(jobs: readonly Job[], error: unknown): void {
    if (!failing) events.onFailure(error)
    failing = true
    for (const job of jobs) {
      if (job.kind === 'reserve') job.resolve(UNAVAILABLE)
      else queue.push(job)
    }
    if (queue.length === 0 || scheduled) return
    scheduled = true
    setTimeout(run, RETRY_MS)
  }

  return {
    get failing() {
      return failing
    },
    reserve: (claim) => new Promise((resolve) => enqueue({ kind: 'reserve', claim, resolve })),
    settle(ended, settlement) {
      if (!open.delete(ended.seq)) return Promise.resolve(ended.balances)
      const settled = new Promise<readonly Balance[]>((resolve) =>
        enqueue({ kind: 'settle', hold: ended, settlement, resolve }),
      )
      settling.add(settled)
      void settled.then(() => settling.delete(settled))
      return settled
    },
    async flush() {
      await Promise.race([Promise.all(settling), Bun.sleep(failing ? 2 * RETRY_MS : FLUSH_MS)])
    },
  }
}

/** The reservations of a batch by key, each in order of arrival. */
function byKey(jobs: readonly Job[]): Iterable<ReserveJob[]> {
  const groups = new Map<number, ReserveJob[]>()
  for (const job of jobs) {
    if (job.kind !== 'reserve') continue
    const group = groups.get(job.claim.key.seq)
    if (group) group.push(job)
    else groups.set(job.claim.key.seq, [job])
  }
  return groups.values()
}

const UNAVAILABLE: Reservation = {
  ok: false,
  balances: [],
  refusal: {
    code: 'storage_unavailable',
    message:
      'The quota cannot be checked right now, so the call was not made and nothing was charged.',
    retryAfterS: 5,
  },
}

function isConstraint(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_CONSTRAINT')
  )
}
