/**
 * What waits for the next transaction. Everything that is asked for in one turn of the event loop is handed over together;
 * what comes while a transaction is being written waits for the next.
 */
import type { Job } from './jobs.ts'

export class JobQueue {
  readonly #run: (jobs: readonly Job[]) => Promise<void>
  #jobs: Job[] = []
  /** Being written now; null between two transactions. */
  #running: readonly Job[] | null = null
  #isScheduled = false
  #isPaused = false
  /** A turn came while it was paused. */
  #hasMissed = false

  constructor(run: (jobs: readonly Job[]) => Promise<void>) {
    this.#run = run
  }

  /** Hands it over at the end of this turn. */
  add(job: Job): void {
    this.#jobs.push(job)
    this.schedule()
  }

  /** Leaves it for the turn that is scheduled. */
  keep(job: Job): void {
    this.#jobs.push(job)
  }

  /** Hands over what there is, be it nothing. */
  schedule(): void {
    if (this.#isScheduled || this.#isPaused || this.#running) return
    this.#isScheduled = true
    setImmediate(this.#start)
  }

  scheduleIn(ms: number): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setTimeout(this.#start, ms)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    if (this.#jobs.length > 0 || this.#hasMissed) this.schedule()
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
    this.#jobs = []
    this.#running = jobs
    try {
      await this.#run(jobs)
    } finally {
      this.#running = null
      if (this.#jobs.length > 0) this.schedule()
    }
  }
}

function isSettlement({ kind }: Job): boolean {
  return kind !== 'reserve'
}
