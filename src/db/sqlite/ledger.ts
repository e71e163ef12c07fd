/**
 * The quota ledger on SQLite: group commit. Everything asked for in one turn of the event loop shares one transaction,
 * and no quota is granted before it is committed. If the store fails, whoever asks for quota is refused at once, what must
 * still be written is kept, and the store is tried again until what had failed succeeds.
 */
import type { Database } from 'bun:sqlite'
import { NO_UNITS } from '../../domain/limit.ts'
import type { SteadyClock } from '../../lib/clock.ts'
import type { Claim, Ledger } from '../../quota/ledger.ts'
import { createHeld } from '../ledger/in-flight-units.ts'
import { byKey, type Job, type ReserveJob, type SettleJob, UNAVAILABLE } from '../ledger/jobs.ts'
import { createCharger } from './charge.ts'
import { createEntries } from './entries.ts'
import type { LedgerEvents, LedgerWatcher } from './ledger-events.ts'
import { createTimekeeper } from './timekeeper.ts'
import { createTransact, isStoreFailure } from './transact.ts'

/** How long to wait before a store that has failed is tried again. */
const RETRY_MS = 250

/** How long `flush` waits for a healthy store; a stop must not hang on a sick one. */
const FLUSH_MS = 5_000
const FLUSH_POLL_MS = 5

export type SqliteLedger = Ledger & {
  readonly failing: boolean
  /** How many holds nobody has ended yet. */
  readonly open: number
  watch(watcher: LedgerWatcher): void
  /** Takes notice of a clock that was put forward or back, though nobody asks for anything. */
  keepTime(): void
  /** Whether the clock is good enough to forget by what it has grown old. */
  mayForget(): boolean
  /** Something else has seen the store fail: nothing is granted until `again` no longer throws. */
  fail(error: unknown, again: () => void): void
  /** Leaves the database alone until `resume`: what is asked meanwhile waits its turn. */
  pause(): void
  resume(): void
}

/** `check` throws if nothing may be acknowledged at present. */
export function createLedger(
  client: Database,
  events: LedgerEvents,
  check: () => void,
  clock: SteadyClock | null,
): SqliteLedger {
  const entries = createEntries(client)
  const held = createHeld()
  const charger = createCharger(client, entries, held.of)
  const time = createTimekeeper(client, clock)
  const transact = createTransact(client, check, charger.forget)

  let queue: Job[] = []
  let scheduled = false
  let paused = false
  let failing = false
  /** What failed, to be tried again: while it throws, the store is sick. */
  let again = nothing
  /** Numbers of the holds that nobody has ended yet. */
  const open = new Set<number>()
  let watcher: LedgerWatcher = { committed: nothing, failed: nothing }

  function enqueue(job: Job): void {
    queue.push(job)
    schedule()
  }

  function schedule(): void {
    if (scheduled || paused) return
    scheduled = true
    setImmediate(run)
  }

  function run(): void {
    scheduled = false
    if (paused) return
    const jobs = queue
    queue = []
    if (failing && isStoreFailure(transact(again))) postpone(jobs)
    else attempt(jobs)
  }

  function attempt(jobs: readonly Job[]): void {
    const startedMs = performance.now()
    const error = transact(() => apply(jobs))
    if (error === null) {
      time.kept()
      if (jobs.length > 0) watcher.committed(jobs.length, performance.now() - startedMs)
      for (const job of jobs) finish(job)
      if (failing) events.onRecovery()
      failing = false
      again = nothing
      return
    }
    takeBack(jobs)
    if (isStoreFailure(error)) {
      const refused = jobs.find((job) => job.kind === 'reserve')
      postpone(jobs)
      fail(error, refused ? () => tryOut(refused.claim) : again)
    } else if (jobs.length > 1) {
      // One entry that the store rejects must not take down the others that happened to share its transaction.
      for (const job of jobs) attempt([job])
    } else {
      watcher.failed()
      events.onRejected(error)
      for (const job of jobs) {
        if (job.kind === 'settle') held.remove(job.hold)
        finish(job)
      }
    }
  }

  /** What has ended makes room before anybody asks for it. */
  function apply(jobs: readonly Job[]): void {
    time.keep()
    for (const job of jobs) if (job.kind === 'settle') settle(job)
    for (const group of byKey(jobs)) reserve(group)
  }

  function settle(job: SettleJob): void {
    const { hold: ended, settlement } = job
    if (entries.close(ended.seq)) {
      entries.write(ended, settlement)
      job.answer = charger.correct(ended, settlement.charged)
    } else {
      job.answer = ended.balances
    }
    held.remove(ended)
  }

  function reserve(group: readonly ReserveJob[]): void {
    // A call that was kept waiting counts from when it is let in: the windows of before may be over.
    const claims = group.map(({ claim }) => ({ ...claim, at: time.at(claim.at) }))
    const together = charger.chargeTogether(claims)
    group.forEach((job, i) => {
      job.answer = together?.[i] ?? charger.chargeAlone(claims[i] ?? job.claim)
      if (job.answer.ok) held.add(job.answer.hold)
    })
  }

  /** Forgets what was answered in a transaction that was not written. */
  function takeBack(jobs: readonly Job[]): void {
    for (const job of jobs) {
      if (job.kind === 'settle' && job.answer) held.add(job.hold)
      if (job.kind === 'reserve' && job.answer?.ok) held.remove(job.answer.hold)
      delete job.answer
    }
  }

  /** Tells the caller. */
  function finish(job: Job): void {
    if (job.kind === 'settle') {
      job.resolve(job.answer ?? job.hold.balances)
    } else {
      if (job.answer?.ok) open.add(job.answer.hold.seq)
      job.resolve(job.answer ?? UNAVAILABLE)
    }
  }

  function fail(error: unknown, next: () => void): void {
    watcher.failed()
    if (!failing) events.onFailure(error)
    failing = true
    again = next
    postpone([])
  }

  /** Refuses what asks for quota, keeps what must be written, and tries again a little later. */
  function postpone(jobs: readonly Job[]): void {
    for (const job of jobs) {
      if (job.kind === 'reserve') {
        job.resolve(UNAVAILABLE)
      } else {
        queue.push(job)
        job.resolve(job.hold.balances)
      }
    }
    if (scheduled) return
    scheduled = true
    setTimeout(run, RETRY_MS)
  }

  /** Charges a claim that has failed and takes it back. To read alone would not notice a full disk. */
  function tryOut(claim: Claim): void {
    const reservation = charger.chargeAlone(claim)
    if (!reservation.ok) return
    entries.close(reservation.hold.seq)
    charger.correct(reservation.hold, NO_UNITS)
  }

  return {
    pause() {
      paused = true
    },
    resume() {
      paused = false
      if (queue.length > 0 || failing) schedule()
    },
    get failing() {
      return failing
    },
    get open() {
      return open.size
    },
    keepTime() {
      if (time.isDue()) schedule()
    },
    mayForget: time.mayForget,
    watch(next) {
      watcher = next
    },
    fail,
    async foresee(claim) {
      try {
        return failing
          ? UNAVAILABLE.refusal
          : charger.refusalOf({ ...claim, at: time.at(claim.at) })
      } catch {
        // The next reservation finds out what is the matter, and says so.
        return UNAVAILABLE.refusal
      }
    },
    reserve: (claim) =>
      failing
        ? Promise.resolve(UNAVAILABLE)
        : new Promise((resolve) => enqueue({ kind: 'reserve', claim, resolve })),
    settle: (ended, settlement) =>
      new Promise((resolve) => {
        if (!open.delete(ended.seq)) return resolve(ended.balances)
        enqueue({ kind: 'settle', hold: ended, settlement, resolve })
        // Nobody waits for a store that is sick: the settlement is written when it is well again.
        if (failing) resolve(ended.balances)
      }),
    async flush() {
      const deadline = performance.now() + (failing ? 2 * RETRY_MS : FLUSH_MS)
      // What is asked for stays in the queue until it is written.
      while (queue.some(({ kind }) => kind === 'settle') && performance.now() < deadline)
        await Bun.sleep(FLUSH_POLL_MS)
    },
  }
}

function nothing(): void {}
