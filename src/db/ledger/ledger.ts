/**
 * The quota ledger, whatever engine keeps it: group commit. Everything asked for in one turn of the event loop shares one
 * transaction, and no quota is granted before it is committed. If the store fails, whoever asks for quota is refused at
 * once, what must still be written is kept, and the store is tried again until what had failed succeeds.
 */

import type { Balance } from '../../domain/limit.ts'
import { StoreFailure } from '../../domain/store.ts'
import type { Refusal } from '../../errors.ts'
import type { Claim, Hold, Ledger, Reservation, Settlement } from '../../quota/ledger.ts'
import type { Awaitable, LedgerEngine } from './engine.ts'
import type { LedgerEvents, LedgerWatcher } from './events.ts'
import type { InFlightUnits } from './in-flight-units.ts'
import { answerUnwritten, claimAt, type Job, UNAVAILABLE, withoutLeft } from './jobs.ts'
import { JobQueue } from './queue.ts'
import type { Timekeeper } from './timekeeper.ts'

/** How long to wait before a store that has failed is tried again. */
const RETRY_MS = 250

/**
 * How long a call waits for a store that somebody else has locked, such as a shell or a backup that writes, and how often
 * it is tried meanwhile. Each try may hold up the event loop for as long as the engine itself waits.
 */
const LOCKED_MS_MAX = 1_000
const LOCKED_RETRY_MS = 20

/** How long `flush` waits for a healthy store; a stop must not hang on a sick one. */
const FLUSH_MS = 5_000
const FLUSH_POLL_MS = 5

type Parts = {
  readonly engine: LedgerEngine
  readonly held: InFlightUnits
  readonly time: Timekeeper
  readonly events: LedgerEvents
}

export class GroupLedger implements Ledger {
  readonly #engine: LedgerEngine
  readonly #held: InFlightUnits
  readonly #time: Timekeeper
  readonly #events: LedgerEvents
  readonly #queue = new JobQueue((jobs) => this.#run(jobs))
  /** Numbers of the holds that nobody has ended yet. */
  readonly #open = new Set<number>()
  #watcher: LedgerWatcher = { committed: nothing, failed: nothing }
  #failing = false
  /** Since when somebody else has had the store locked; null if nobody has. */
  #lockedSinceMs: number | null = null
  /** While the store fails: a claim that it refused to write, and what else has to succeed first. */
  #refused: Claim | null = null
  #again: () => Awaitable<unknown> = nothing

  constructor({ engine, held, time, events }: Parts) {
    this.#engine = engine
    this.#held = held
    this.#time = time
    this.#events = events
  }

  get failing(): boolean {
    return this.#failing
  }

  get open(): number {
    return this.#open.size
  }

  async foresee(claim: Claim): Promise<Refusal | null> {
    if (this.#failing) return UNAVAILABLE.refusal
    try {
      return await this.#engine.foresee(this.#now(claim))
    } catch {
      // The next reservation finds out what is the matter, and says so.
      return UNAVAILABLE.refusal
    }
  }

  reserve(claim: Claim, client?: AbortSignal): Promise<Reservation> {
    if (this.#failing) return Promise.resolve(UNAVAILABLE)
    return new Promise((resolve) => this.#queue.add({ kind: 'reserve', claim, client, resolve }))
  }

  settle(hold: Hold, settlement: Settlement): Promise<readonly Balance[]> {
    if (!this.#open.delete(hold.seq)) return Promise.resolve(hold.balances)
    return new Promise((resolve) => {
      this.#queue.add({ kind: 'settle', hold, settlement, resolve })
      // Nobody waits for a store that is sick: the settlement is written when it is well again.
      if (this.#failing) resolve(hold.balances)
    })
  }

  record(claim: Claim, settlement: Settlement): Promise<Refusal | null> {
    return new Promise((resolve) => {
      this.#queue.add({ kind: 'record', claim, settlement, resolve })
      if (this.#failing) resolve(UNAVAILABLE.refusal)
    })
  }

  async isCharged(upstream: string, object: string): Promise<boolean> {
    try {
      return await this.#engine.isCharged(upstream, object)
    } catch {
      return false
    }
  }

  async flush(): Promise<void> {
    const deadline = performance.now() + (this.#failing ? 2 * RETRY_MS : FLUSH_MS)
    while (this.#queue.hasSettlements() && performance.now() < deadline)
      await Bun.sleep(FLUSH_POLL_MS)
  }

  watch(watcher: LedgerWatcher): void {
    this.#watcher = watcher
  }

  /** Takes notice of a clock that was put forward or back, though nobody asks for anything. */
  keepTime(): void {
    if (this.#time.step() !== null) this.#queue.schedule()
  }

  /** Whether the clock is good enough to forget by what it has grown old. */
  mayForget(): boolean {
    return this.#time.mayForget()
  }

  /** Something else has seen the store fail: nothing is granted until the store can be written, and `again` succeeds. */
  fail(error: unknown, again: () => Awaitable<unknown> = nothing): void {
    this.#refused = null
    this.#again = again
    this.#noteFailure(error)
    this.#queue.scheduleIn(RETRY_MS)
  }

  /** Leaves the database alone until `resume`: what is asked meanwhile waits its turn. */
  pause(): void {
    this.#queue.pause()
  }

  resume(): void {
    this.#queue.resume()
  }

  async #run(asked: readonly Job[]): Promise<void> {
    const jobs = withoutLeft(asked)
    if (this.#failing && !(await this.#isBack())) this.#postpone(jobs)
    else await this.#attempt(jobs)
  }

  async #isBack(): Promise<boolean> {
    try {
      await this.#engine.tryOut(this.#refused && this.#now(this.#refused))
      await this.#again()
      return true
    } catch (error) {
      return !(error instanceof StoreFailure)
    }
  }

  async #attempt(jobs: readonly Job[]): Promise<void> {
    const startedMs = performance.now()
    const step = this.#time.step()
    for (const job of jobs) if (job.kind !== 'settle') job.claim = this.#now(job.claim)
    try {
      await this.#engine.write({ jobs, step })
    } catch (error) {
      return this.#takeBack(jobs, error, startedMs)
    }
    this.#time.kept()
    this.#lockedSinceMs = null
    if (jobs.length > 0) this.#watcher.committed(jobs.length, performance.now() - startedMs)
    for (const job of jobs) this.#finish(job)
    if (this.#failing) this.#events.onRecovery()
    this.#failing = false
    this.#refused = null
    this.#again = nothing
  }

  /** Nothing of it was written. */
  async #takeBack(jobs: readonly Job[], error: unknown, startedMs: number): Promise<void> {
    for (const job of jobs) this.#forget(job)
    if (this.#isLocked(error, startedMs)) {
      for (const job of jobs) this.#queue.keep(job)
      this.#queue.scheduleIn(LOCKED_RETRY_MS)
    } else if (error instanceof StoreFailure) {
      this.#refused = jobs.find((job) => job.kind === 'reserve')?.claim ?? this.#refused
      this.#noteFailure(error)
      this.#postpone(jobs)
    } else if (jobs.length > 1) {
      // One entry that the store rejects must not take down the others that happened to share its transaction.
      for (const job of jobs) await this.#attempt([job])
    } else {
      this.#watcher.failed()
      this.#events.onRejected(error)
      for (const job of jobs) {
        if (job.kind === 'settle') this.#held.remove(job.hold)
        this.#finish(job)
      }
    }
  }

  /** Whether it may be over in a moment. A store that has failed already is not waited for. */
  #isLocked(error: unknown, startedMs: number): boolean {
    if (this.#failing || !(error instanceof StoreFailure) || !error.isLock) return false
    this.#lockedSinceMs ??= startedMs
    return performance.now() - this.#lockedSinceMs < LOCKED_MS_MAX
  }

  #forget(job: Job): void {
    if (job.kind === 'settle' && job.answer) this.#held.add(job.hold)
    if (job.kind === 'reserve' && job.answer?.ok) this.#held.remove(job.answer.hold)
    delete job.answer
  }

  #finish(job: Job): void {
    if (job.kind === 'settle') {
      job.resolve(job.answer ?? job.hold.balances)
    } else if (job.kind === 'record') {
      job.resolve(job.answer ?? null)
    } else {
      if (job.answer?.ok) this.#open.add(job.answer.hold.seq)
      job.resolve(job.answer ?? UNAVAILABLE)
    }
  }

  #noteFailure(error: unknown): void {
    this.#watcher.failed()
    if (!this.#failing) this.#events.onFailure(error)
    this.#failing = true
    this.#lockedSinceMs = null
  }

  /** Refuses what asks for quota, keeps what must be written, and tries again a little later. */
  #postpone(jobs: readonly Job[]): void {
    for (const job of jobs) {
      answerUnwritten(job)
      if (job.kind !== 'reserve') this.#queue.keep(job)
    }
    this.#queue.scheduleIn(RETRY_MS)
  }

  /** A call that was kept waiting counts from when it is let in: the windows of before may be over. */
  #now(claim: Claim): Claim {
    return claimAt(claim, this.#time.at(claim.at))
  }
}

function nothing(): void {}
