/**
 * What the ledger needs of PostgreSQL: each batch is one statement, and so one round trip and one transaction. Whether a
 * batch was written whose answer was lost is found out before anything else is written.
 */
import { and, eq, isNull } from 'drizzle-orm'
import { UNKNOWN_KEY, whyUnusable } from '../../../domain/key.ts'
import { StoreFailure } from '../../../domain/store.ts'
import type { Refusal } from '../../../errors.ts'
import { systemClock } from '../../../lib/clock.ts'
import { errorCode } from '../../../lib/error-code.ts'
import { limitState } from '../../../quota/account.ts'
import { decide } from '../../../quota/decide.ts'
import type { Claim } from '../../../quota/ledger.ts'
import type { LedgerEngine } from '../../ledger/engine.ts'
import {
  claimAt,
  type Job,
  type RecordJob,
  type SettleJob,
  UNAVAILABLE,
} from '../../ledger/jobs.ts'
import { createModelNames } from '../../ledger/settle.ts'
import type { Connection } from '../connection.ts'
import { isConnectionLost, REPLICA_LOST } from '../failure.ts'
import type { Replica } from '../replica.ts'
import { keys } from '../schema.ts'
import type { Read } from '../transact.ts'
import { readAccounts } from './accounts.ts'
import { answer } from './answers.ts'
import { argumentsOf, type Entry, WRITE, type Written } from './batch.ts'
import { createKnownLimits, learn } from './known-limits.ts'
import { interrupted, ORPHANS_MAX } from './orphans.ts'
import { type Plan, planOf } from './plan.ts'
import { UnknownBatch } from './unknown-batch.ts'

export type PostgresLedgerParts = {
  readonly connection: Connection
  readonly read: Read
  readonly replica: Replica
  /** Whether the clock of the database says when a call is let in, or the claim itself. */
  readonly isClocked: boolean
  /** Told of the revision of the upstreams in force, with every batch. Calls that were resolved by an older one wait for it. */
  readonly onUpstreams: (revision: number) => Promise<void>
}

/** Periods that end while they are asked for, and keys that change, are asked for again; nothing changes so often. */
const ROUNDS_MAX = 6

export class PostgresLedger implements LedgerEngine {
  readonly #parts: PostgresLedgerParts
  readonly #known = createKnownLimits()
  readonly #models = createModelNames()
  readonly #unknown: UnknownBatch
  /** Work that was done already and could not be entered yet. */
  #late: Job[] = []
  /** What the clock of the database is ahead of ours, ms. */
  #aheadMs = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: PostgresLedgerParts) {
    this.#parts = parts
    const { connection, read, replica } = parts
    const end = (ended: readonly Entry[]) => this.#end(ended)
    this.#unknown = new UnknownBatch({ connection, read, replica, end })
  }

  write({ jobs }: { readonly jobs: readonly Job[] }): Promise<void> {
    return this.#alone(() => this.#write(jobs))
  }

  async #write(jobs: readonly Job[]): Promise<void> {
    await this.#unknown.clear()
    const all = [...this.#late, ...jobs].filter((job) => !this.#unknown.isDone(job))
    let open = all.length > 0 ? await this.#round(all) : all
    this.#late = []
    // What is answered by now is written, whatever becomes of the rest.
    for (let round = 1; open.length > 0; round++) {
      try {
        if (round === ROUNDS_MAX)
          throw new StoreFailure('keys and periods change all the time', 'BUSY')
        open = await this.#round(open)
      } catch {
        return this.#giveUp(open)
      }
    }
  }

  /** Tells those who wait that the store fails. Work that was done already is entered with the next batch. */
  #giveUp(jobs: readonly Job[]): void {
    for (const job of jobs) {
      if (job.kind === 'reserve') job.answer = UNAVAILABLE
      if (job.kind === 'record') job.answer = UNAVAILABLE.refusal
      if (job.kind === 'settle') job.answer = job.hold.balances
      if (job.kind !== 'reserve') this.#late.push(lateOf(job))
    }
  }

  tryOut(): Promise<void> {
    return this.beat()
  }

  async foresee(claim: Claim): Promise<Refusal | null> {
    const at = this.#instantOf(claim)
    return this.#parts.read(async (tx) => {
      const { revision, enabled, expiresAt } = keys
      const [key] = await tx
        .select({ revision, enabled, expiresAt })
        .from(keys)
        .where(and(eq(keys.seq, claim.key.seq), isNull(keys.deletedAt)))
      if (!key) return UNKNOWN_KEY
      const unusable = whyUnusable(key, at)
      if (unusable || key.revision !== claim.key.revision) return unusable
      const { accounts, held } = await readAccounts(tx, [claim.key.seq], at)
      const states = (accounts.get(claim.key.seq) ?? []).map((account) =>
        limitState(account, (id) => held.get(id) ?? 0, at),
      )
      return decide(states, claim.units, at)
    })
  }

  async isCharged(upstream: string, object: string): Promise<boolean> {
    const { connection } = this.#parts
    const rows = await connection.query(
      'SELECT 1 FROM charged_objects WHERE upstream = $1 AND object = $2',
      [upstream, object],
    )
    return rows.length > 0
  }

  /** Prolongs the lease, though nobody asks for anything. */
  beat(): Promise<void> {
    return this.#alone(async () => {
      await this.#unknown.clear()
      await this.#note(await this.#restarting(() => this.#parts.replica.beat()))
    })
  }

  /** Ends the calls of replicas that have ended. Resolves with how many there were. */
  endOrphans(): Promise<number> {
    return this.#alone(async () => {
      let all = 0
      for (;;) {
        const entries = await interrupted(this.#parts.connection)
        if (entries.length > 0) all += (await this.#end(entries)).ended.length
        if (entries.length < ORPHANS_MAX) return all
      }
    })
  }

  /** One after the other: what is sent, and what is found out of it, must not mix. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work, work)
    this.#last = done.catch(() => {})
    return done
  }

  /** Resolves with the jobs that have to be asked again. */
  async #round(jobs: readonly Job[]): Promise<Job[]> {
    await learn(this.#known, this.#parts, jobs)
    const { isClocked } = this.#parts
    const plan = planOf(jobs, {
      nowMs: isClocked ? systemClock() + this.#aheadMs : null,
      limitsAt: ({ key }, at) => this.#known.at(key.seq, key.revision, at) ?? [],
      models: this.#models,
    })
    const written = await this.#restarting(() => this.#send(plan))
    if (written === null)
      return jobs.filter((job) => job.answer === undefined && !this.#unknown.isDone(job))
    await this.#note(written)
    if (isClocked) for (const job of plan.asked) job.claim = claimAt(job.claim, written.now)
    return answer(plan, written)
  }

  /** Null if the answer was lost, but not what became of it. */
  async #send(plan: Plan): Promise<Written | null> {
    const batch = this.#parts.replica.nextBatch()
    try {
      return await this.#call(batch, plan.work)
    } catch (error) {
      if (!isConnectionLost(error)) throw error
      await this.#unknown.find(batch, plan)
      return null
    }
  }

  /** Writes settlements that nobody waits for. */
  async #end(ended: readonly Entry[]): Promise<Written> {
    const work = { ended, groups: [], limits: [], calls: [] }
    return this.#call(this.#parts.replica.nextBatch(), work)
  }

  async #call(batch: number, work: Plan['work']): Promise<Written> {
    const { connection, replica } = this.#parts
    const [row] = await connection.query<{ written: Written }>(WRITE, [
      ...[replica.seq, replica.epoch, batch],
      ...argumentsOf(work),
    ])
    if (!row) throw new Error('the database gave no answer')
    return row.written
  }

  /** A process that was paused for longer than its lease begins anew: what it had in flight was ended by others. */
  async #restarting<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (errorCode(error) !== REPLICA_LOST) throw error
      await this.#parts.replica.register()
      return work()
    }
  }

  async #note({ now, upstreams }: Pick<Written, 'now' | 'upstreams'>): Promise<void> {
    this.#aheadMs = now - systemClock()
    await this.#parts.onUpstreams(upstreams)
  }

  #instantOf({ at }: Claim): number {
    return this.#parts.isClocked ? systemClock() + this.#aheadMs : at
  }
}

/** Answered already, and to be written all the same. */
function lateOf(job: SettleJob | RecordJob): Job {
  const resolve = () => {}
  if (job.kind === 'settle')
    return { kind: 'settle', hold: job.hold, settlement: job.settlement, resolve }
  return { kind: 'record', claim: job.claim, settlement: job.settlement, resolve }
}
