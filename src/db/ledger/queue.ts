/**
 * What waits for the next transaction. Everything that is asked for in one turn of the event loop is handed over together;
 * what comes while a transaction is being written waits for the next.
 */
import type { Job } from './jobs.ts'

export class JobQueue {
  readonly #run: (jobs: readonly Job[]) => Promise<void>
  #jobs: Job[] = []
  /**
   * Reservations that have come since the last turn. They wait one turn more, so that the event loop has looked at their sockets
   * again: the end of a client's side may arrive with its request, and is seen a turn later (Bun 1.4.5).
   */
  #young: Job[] = []
  /** A turn is to be handed over even if there is nothing. */
  #isDue = false
  /** Being written now; null between two transactions. */
  #running: readonly Job[] | null = null
  #isScheduled = false
  #isPaused = false
  /** A turn came while it was paused. */
  #hasMissed = false

  constructor(run: (jobs: readonly Job[]) => Promise<void>) {
    this.#run = run
  }

  /** Hands it over in the turn that follows, or if it asks for quota in the one after that. */
  add(job: Job): void {
    const jobs = job.kind === 'reserve' ? this.#young : this.#jobs
    jobs.push(job)
    this.#arm()
  }

  /** Leaves it for the turn that is scheduled. */
  keep(job: Job): void {
    this.#jobs.push(job)
  }

  /** Hands over what there is, be it nothing. */
  schedule(): void {
    this.#isDue = true
    this.#arm()
  }

  #arm(): void {
    if (this.#isScheduled || this.#isPaused || this.#running) return
    this.#isScheduled = true
    setImmediate(this.#start)
  }

  scheduleIn(ms: number): void {
    this.#isDue = true
    if (this.#isScheduled) return
    this.#isScheduled = true
    setTimeout(this.#start, ms)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    if (this.#hasJobs() || this.#hasMissed) this.schedule()
    this.#hasMissed = false
  }

  /** Whether something that must be written waits, or is being written. */
  hasSettlements(): boolean {
    return this.#jobs.some(isSettlement) || (this.#running?.some(isSettlement) ?? false)
  }

  // Called by timers, hence bound.
  readonly #start = async (): Promise<void> => {
    this.#isScheduled = false
    this.#hasMissed = this.#isPaused
    if (this.#isPaused || this.#running) return
    const jobs = this.#jobs
    this.#jobs = this.#young
    this.#young = []
    if (jobs.length > 0 || this.#isDue) await this.#handOver(jobs)
    if (this.#hasJobs()) this.#arm()
  }

  async #handOver(jobs: readonly Job[]): Promise<void> {
    this.#isDue = false
    this.#running = jobs
    try {
      await this.#run(jobs)
    } finally {
      this.#running = null
    }
  }

  #hasJobs(): boolean {
    return this.#jobs.length + this.#young.length > 0
  }
}

function isSettlement({ kind }: Job): boolean {
  return kind !== 'reserve'
}
