/**
 * A batch whose answer was lost with the connection: it may have been written, and may yet be. The row of the replica tells,
 * once its epoch was raised so that nothing that was sent before can write any more. Nothing else is written until then.
 */
import { balance } from '../../../quota/account.ts'
import { claimAt, type Job } from '../../ledger/jobs.ts'
import type { Connection } from '../connection.ts'
import { isConnectionLost } from '../failure.ts'
import type { Replica } from '../replica.ts'
import type { Read } from '../transact.ts'
import { readAccounts } from './accounts.ts'
import type { Entry } from './batch.ts'
import { notSent } from './orphans.ts'
import type { Plan } from './plan.ts'

type Parts = {
  readonly connection: Connection
  readonly read: Read
  readonly replica: Replica
  /** Writes settlements that nobody waits for. */
  readonly end: (ended: readonly Entry[]) => Promise<unknown>
}

/** How long somebody who waits for quota waits for a lost connection. */
const FIND_OUT_MS = 3_000
const FIND_OUT_POLL_MS = 100

type Sent = {
  readonly plan: Plan
  readonly replica: number
  readonly batch: number
  /** Null until it is known. */
  isWritten: boolean | null
}

type HeldRow = {
  readonly seq: number
  readonly place: number
  readonly at: number
  readonly counters: readonly number[]
}

export class UnknownBatch {
  readonly #parts: Parts
  #sent: Sent | null = null
  readonly #done = new WeakSet<Job>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Whether the job was done by a batch whose answer was lost, so that it must not be done again. */
  isDone(job: Job): boolean {
    return this.#done.has(job)
  }

  /** Finds out now what became of it, since somebody waits for the answers. Rejects if the database cannot be asked. */
  async find(batch: number, plan: Plan): Promise<void> {
    this.#sent = { plan, replica: this.#parts.replica.seq, batch, isWritten: null }
    const untilMs = performance.now() + FIND_OUT_MS
    while (this.#sent) {
      try {
        await this.#clear(true)
      } catch (error) {
        if (!isConnectionLost(error) || performance.now() > untilMs) throw error
        await Bun.sleep(FIND_OUT_POLL_MS)
      }
    }
  }

  /** Finds out what became of one whose callers were told that the store fails, and gives back what it reserved for them. */
  clear(): Promise<void> {
    return this.#clear(false)
  }

  async #clear(isAwaited: boolean): Promise<void> {
    const sent = this.#sent
    if (!sent) return
    sent.isWritten ??= await this.#ask(sent)
    if (sent.isWritten) {
      if (isAwaited) await this.#adopt(sent)
      else await this.#giveBack(sent)
      this.#finish(sent.plan)
    }
    this.#sent = null
  }

  async #ask({ batch }: Sent): Promise<boolean> {
    const { replica } = this.#parts
    const { batch: latest, hasEnded } = await replica.fence()
    if (hasEnded) await replica.register()
    return latest === batch
  }

  async #giveBack({ replica, batch }: Sent): Promise<void> {
    const lost = await notSent(this.#parts.connection, replica, batch)
    if (lost.length > 0) await this.#parts.end(lost)
  }

  /** The reservations go to those who asked for them. */
  async #adopt({ replica, batch, plan }: Sent): Promise<void> {
    const { connection, read } = this.#parts
    const holds = await connection.query<HeldRow>(
      'SELECT seq, place, at, to_jsonb(counters) AS counters FROM holds WHERE replica = $1 AND batch = $2',
      [replica, batch],
    )
    const keys = holds.flatMap(({ place }) => plan.asked[place - 1]?.claim.key.seq ?? [])
    const { accounts } = await read((tx) => readAccounts(tx, keys, holds[0]?.at ?? 0))
    for (const { seq, place, at, counters } of holds) {
      const job = plan.asked[place - 1]
      if (job?.kind !== 'reserve') continue
      const claim = claimAt(job.claim, at)
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
}
