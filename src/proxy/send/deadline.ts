/** Bounds a call in time: in whole, until the head of the answer, and in silence; and by its client staying. */
import { type CoarseTimer, startTimer, stopTimer } from '../../lib/process/coarse-timer.ts'

export type Timeouts = {
  readonly totalMs: number
  /** Until the head of the answer. */
  readonly firstByteMs: number
  /** Between two pieces of the answer; null waits for as long as the call may take. */
  readonly idleMs: number | null
}

type Cause = 'client_aborted' | 'upstream_timeout'

export type Deadline = {
  readonly signal: AbortSignal
  /** Something has passed: the silence starts anew. */
  touch(): void
  /** Whether it is the client who is waited for, so that a silence is not the upstream's. */
  waitForClient(waits: boolean): void
  /** The head of the answer has come: from here on silence is bounded by `idleMs`. */
  answered(idleMs: number | null): void
  /** Why the call was given up; null if it was not. */
  cause(): Cause | null
  /** Gives the call up, because the client has. */
  abandon(): void
  /** Stops the clock. Every exit must call it. */
  end(): void
}

export function startDeadline(client: AbortSignal, { totalMs, firstByteMs }: Timeouts): Deadline {
  return new CallDeadline(client, totalMs, firstByteMs)
}

/** A class, since one is made for every call: its methods are shared, where closures would be made anew. */
class CallDeadline implements Deadline, CoarseTimer {
  dueMs: number
  readonly #controller = new AbortController()
  readonly #client: AbortSignal
  readonly #endMs: number
  #silenceMs: number | null
  #silentSinceMs: number
  #isClientSlow = false
  #cause: Cause | null = null
  readonly #left = () => this.#giveUp('client_aborted')

  constructor(client: AbortSignal, totalMs: number, firstByteMs: number) {
    const now = performance.now()
    this.#client = client
    this.#endMs = now + totalMs
    this.#silenceMs = firstByteMs
    this.#silentSinceMs = now
    this.dueMs = now + Math.min(totalMs, firstByteMs)
    startTimer(this)
    if (client.aborted) this.#left()
    else client.addEventListener('abort', this.#left, { once: true })
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  touch(): void {
    this.#silentSinceMs = performance.now()
  }

  waitForClient(waits: boolean): void {
    this.#isClientSlow = waits
    this.touch()
  }

  answered(idleMs: number | null): void {
    this.#silenceMs = idleMs
    this.touch()
    this.dueMs = this.#nextDueMs()
  }

  cause(): Cause | null {
    return this.#cause
  }

  abandon(): void {
    this.#left()
  }

  end(): void {
    stopTimer(this)
    this.#client.removeEventListener('abort', this.#left)
  }

  /** A touch moves the limit of silence without a word to the timer, which asks here what is left of it. */
  ring(): void {
    const now = performance.now()
    this.dueMs = this.#nextDueMs()
    if (this.dueMs > now) startTimer(this)
    else if (now >= this.#endMs) this.#giveUp('upstream_timeout')
    else this.#giveUp(this.#isClientSlow ? 'client_aborted' : 'upstream_timeout')
  }

  #nextDueMs(): number {
    const silent = this.#silenceMs === null ? Infinity : this.#silentSinceMs + this.#silenceMs
    return Math.min(this.#endMs, silent)
  }

  #giveUp(cause: Cause): void {
    this.#cause ??= cause
    this.#controller.abort()
  }
}
