/**
 * What the ledger needs of PostgreSQL: each batch is one statement, and so one round trip and one transaction. Whether a
 * batch was written whose answer was lost is found out before anything else is written.
 */
import { and, eq, isNull } from 'drizzle-orm'
import { UNKNOWN_KEY, whyUnusable } from '../../../domain/key.ts'
import type { Refusal } from '../../../errors.ts'
import { errorCode } from '../../../lib/error-code.ts'
import { balance, limitState } from '../../../quota/account.ts'
import { decide } from '../../../quota/decide.ts'
import type { Claim } from '../../../quota/ledger.ts'
import type { LedgerEngine } from '../../ledger/engine.ts'
import { claimAt, type Job } from '../../ledger/jobs.ts'
import { createModelNames } from '../../ledger/settle.ts'
import type { Connection } from '../connection.ts'
import { isConnectionLost, REPLICA_LOST } from '../failure.ts'
import type { Replica } from '../replica.ts'
import { keys } from '../schema.ts'
import type { Read } from '../transact.ts'
import { readAccounts, readLimits } from './accounts.ts'
import { answer } from './answers.ts'
import type { Entry, Written } from './batch.ts'
import { createKnownLimits } from './known-limits.ts'
import { interrupted, notSent, ORPHANS_MAX } from './orphans.ts'
import { type Plan, planOf } from './plan.ts'

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

/** How long somebody who waits for quota waits for a lost connection. */
const FIND_OUT_MS = 3_000
const FIND_OUT_POLL_MS = 100

type Sent = { readonly batch: number; readonly plan: Plan }

export class PostgresLedger implements LedgerEngine {
  readonly #parts: PostgresLedgerParts
  readonly #known = createKnownLimits()
  readonly #models = createModelNames()
  /** Ended by a batch whose answer came too late to tell. */
  readonly #done = new WeakSet<Job>()
  /** Sent, and nobody knows whether it was written. */
  #unknown: Sent | null = null
  /** What the clock of the database is ahead of ours, ms. */
  #aheadMs = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: PostgresLedgerParts) {
    this.#parts = parts
  }

  write({ jobs }: { readonly jobs: readonly Job[] }): Promise<void> {
    return this.#alone(() => this.#write(jobs))
  }

  async #write(jobs: readonly Job[]): Promise<void> {
    await this.#clearUnknown()
    let open = jobs.filter((job) => !this.#done.has(job))
    for (let round = 0; open.length > 0; round++) {
      if (round === ROUNDS_MAX)
        throw new Error('keys or periods change faster than they can be charged')
      open = await this.#round(open)
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
      await this.#clearUnknown()
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
    await this.#learn(jobs)
    const { isClocked } = this.#parts
    const plan = planOf(jobs, {
      nowMs: isClocked ? Date.now() + this.#aheadMs : null,
      limitsAt: ({ key }, at) => this.#known.at(key.seq, key.revision, at) ?? [],
      models: this.#models,
    })
    const written = await this.#restarting(() => this.#send(plan))
    if (written === null)
      return jobs.filter((job) => job.answer === undefined && !this.#done.has(job))
    await this.#note(written)
    if (isClocked) for (const job of plan.asked) job.claim = claimAt(job.claim, written.now)
    return answer(plan, written)
  }

  /** Reads the limits of keys that are not known as they are claimed, and the present revision where work was done already. */
  async #learn(jobs: readonly Job[]): Promise<void> {
    const asked = jobs.filter((job) => job.kind !== 'settle')
    const strange = asked.filter(
      ({ kind, claim: { key } }) => kind === 'record' || !this.#known.has(key.seq, key.revision),
    )
    if (strange.length === 0) return
    const seqs = [...new Set(strange.map(({ claim }) => claim.key.seq))]
    const revisions = await this.#parts.connection.query<{ seq: number; revision: number }>(
      'SELECT seq, revision FROM keys WHERE seq = ANY($1::bigint[])',
      [seqs],
    )
    // Read after the revisions: if a key changes in between, its claim names a revision that is no more.
    const limits = await this.#parts.read((tx) => readLimits(tx, seqs))
    const revisionOf = new Map(revisions.map(({ seq, revision }) => [seq, revision]))
    for (const [seq, own] of limits) this.#known.set(seq, revisionOf.get(seq) ?? 0, own, Date.now())
    for (const job of strange) {
      const { claim } = job
      const revision = revisionOf.get(claim.key.seq) ?? 0
      if (job.kind === 'record') job.claim = { ...claim, key: { ...claim.key, revision } }
    }
  }

  /** Null if the answer was lost, but not what became of it. */
  async #send(plan: Plan): Promise<Written | null> {
    const batch = this.#parts.replica.nextBatch()
    try {
      return await this.#call(batch, plan.work)
    } catch (error) {
      if (!isConnectionLost(error)) throw error
      this.#unknown = { batch, plan }
      await this.#findOut()
      return null
    }
  }

  /** Waits for the database a little, since somebody waits for the answers of this batch. */
  async #findOut(): Promise<void> {
    const untilMs = performance.now() + FIND_OUT_MS
    while (this.#unknown) {
      try {
        await this.#clearUnknown(true)
      } catch (error) {
        if (!isConnectionLost(error) || performance.now() > untilMs) throw error
        await Bun.sleep(FIND_OUT_POLL_MS)
      }
    }
  }

  /**
   * Finds out whether the batch was written. If it was, its settlements are done, and what it reserved goes to those who still
   * wait, or is given back.
   */
  async #clearUnknown(isAwaited = false): Promise<void> {
    const unknown = this.#unknown
    if (!unknown) return
    const { replica, connection } = this.#parts
    const { seq } = replica
    const { batch, hasEnded } = await replica.fence()
    const isWritten = batch === unknown.batch
    if (isWritten && isAwaited) await this.#adopt(unknown, seq)
    const lost = isWritten && !isAwaited ? await notSent(connection, seq, batch) : []
    if (hasEnded) await replica.register()
    if (lost.length > 0) await this.#end(lost)
    if (isWritten) this.#finish(unknown.plan)
    this.#unknown = null
  }

  /** Of a batch that was written: gives the reservations to those who asked for them. */
  async #adopt({ batch, plan }: Sent, replica: number): Promise<void> {
    const holds = await this.#parts.connection.query<HeldRow>(
      'SELECT seq, place, at, to_jsonb(counters) AS counters FROM holds WHERE replica = $1 AND batch = $2',
      [replica, batch],
    )
    const keys = holds.flatMap(({ place }) => plan.asked[place - 1]?.claim.key.seq ?? [])
    const at = holds[0]?.at ?? 0
    const { accounts } = await this.#parts.read((tx) => readAccounts(tx, keys, at))
    for (const { seq, place, at: admittedAt, counters } of holds) {
      const job = plan.asked[place - 1]
      if (job?.kind !== 'reserve') continue
      const claim = claimAt(job.claim, admittedAt)
      const limits = plan.limitsOf[plan.groupOf[place - 1] ?? -1] ?? []
      const charges = counters.flatMap((counterId, i) => {
        const unit = limits[i]?.limit.unit
        return unit ? [{ counterId, unit }] : []
      })
      const balances = (accounts.get(claim.key.seq) ?? []).map((account) => balance(account))
      job.answer = { ok: true, hold: { seq, claim, charges, balances } }
    }
  }

  #finish({ settled, asked }: Plan): void {
    for (const job of settled) {
      this.#done.add(job)
      job.answer = job.hold.balances
    }
    for (const job of asked) if (job.kind === 'record') this.#done.add(job)
  }

  /** Writes settlements that nobody waits for. */
  async #end(ended: readonly Entry[]): Promise<Written> {
    return this.#call(this.#parts.replica.nextBatch(), { ended })
  }

  async #call(batch: number, work: Plan['work']): Promise<Written> {
    const { connection, replica } = this.#parts
    const [row] = await connection.query<{ written: Written }>(
      'SELECT quota_write($1, $2, $3, $4::jsonb) AS written',
      [replica.seq, replica.epoch, batch, JSON.stringify(work)],
    )
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
    this.#aheadMs = now - Date.now()
    await this.#parts.onUpstreams(upstreams)
  }

  #instantOf({ at }: Claim): number {
    return this.#parts.isClocked ? Date.now() + this.#aheadMs : at
  }
}

type HeldRow = {
  readonly seq: number
  readonly place: number
  readonly at: number
  readonly counters: readonly number[]
}
