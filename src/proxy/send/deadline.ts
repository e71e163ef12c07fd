/** Bounds a call in time: in whole, until the head of the answer, and in silence; and by its client staying. */
import { type CoarseTimer, startTimer, stopTimer } from '../../lib/process/coarse-timer.ts'
import { type Leaving, READ_ON_MS, READ_ON_SILENCE_MS, type ReadOn } from './leaving.ts'

export type Timeouts = {
  readonly totalMs: number
  /** Until the head of the answer. */
  readonly firstByteMs: number
  /** Between two pieces of the answer; null waits for as long as the call may take. */
  readonly idleMs: number | null
}

type Cause = Leaving['cause'] | 'upstream_timeout'

/** Passes an answer on for as long as there is a client. */
export type Relaying = {
  /** Nobody takes the answer any more; what is left of it is to be read for its report. */
  readOn(): void
}

export type Deadline = {
  readonly signal: AbortSignal
  /** Something has passed: the silence starts anew. */
  touch(): void
  /** Whether it is the client who is waited for, so that a silence is not the upstream's. */
  waitForClient(waits: boolean): void
  /** The head of the answer has come: from here on silence is bounded by `idleMs`. */
  answered(idleMs: number | null): void
  /** From here on the answer is worth being read to its end, though its client leaves. */
  readOnWith(relaying: Relaying): void
  /** Whether the client has left, and the answer is read on for. */
  readsOn(): boolean
  /** Why the call was given up, or will have been when it is read on for; null if it was not. */
  cause(): Cause | null
  /** Gives the call up, because the client has. */
  abandon(): void
  /** Stops the clock. Every exit must call it. */
  end(): void
}

export function startDeadline(
  client: AbortSignal,
  { totalMs, firstByteMs }: Timeouts,
  caller: Caller,
): Deadline {
  return new CallDeadline(client, totalMs, firstByteMs, caller)
}

/** Whose call it is, and what becomes of it if its client leaves. */
type Caller = Pick<ReadOn, 'key' | 'upstream'> & { readonly leaving: Leaving }

/** A class, since one is made for every call: its methods are shared, where closures would be made anew. */
class CallDeadline implements Deadline, CoarseTimer, ReadOn {
  dueMs: number
  readonly #controller = new AbortController()
  readonly #client: AbortSignal
  readonly key: number
  readonly upstream: string
  readonly #leaving: Leaving
  #endMs: number
  #silenceMs: number | null
  #silentSinceMs: number
  #isClientSlow = false
  #cause: Cause | null = null
  #relaying: Relaying | null = null
  #hasLeft = false
  #hasEnded = false
  readonly #left = () => this.#leave()

  constructor(client: AbortSignal, totalMs: number, firstByteMs: number, caller: Caller) {
    const now = performance.now()
    this.#client = client
    this.#leaving = caller.leaving
    this.key = caller.key
    this.upstream = caller.upstream
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

  readOnWith(relaying: Relaying): void {
    this.#relaying = relaying
  }

  readsOn(): boolean {
    return this.#hasLeft && this.#cause === null
  }

  cause(): Cause | null {
    return this.#cause ?? (this.#hasLeft ? 'client_aborted' : null)
  }

  abandon(): void {
    this.#leave()
  }

  stopReadingOn(): void {
    this.#giveUp('client_aborted')
  }

  end(): void {
    this.#hasEnded = true
    stopTimer(this)
    this.#client.removeEventListener('abort', this.#left)
    if (this.#hasLeft) this.#leaving.leave(this)
  }

  /** A touch moves the limit of silence without a word to the timer, which asks here what is left of it. */
  ring(): void {
    const now = performance.now()
    this.dueMs = this.#nextDueMs()
    if (this.dueMs > now) startTimer(this)
    else if (this.#hasLeft) this.#giveUp('client_aborted')
    else if (now >= this.#endMs || !this.#isClientSlow) this.#giveUp('upstream_timeout')
    else this.#leave()
  }

  #leave(): void {
    if (this.readsOn()) return
    const readsOn = this.#relaying !== null && !this.#hasEnded && this.#leaving.enter(this)
    if (readsOn) this.#beginReadingOn()
    else this.#giveUp(this.#leaving.cause)
  }

  #beginReadingOn(): void {
    this.#hasLeft = true
    this.#isClientSlow = false
    this.#endMs = Math.min(this.#endMs, performance.now() + READ_ON_MS)
    this.#silenceMs = Math.min(this.#silenceMs ?? READ_ON_SILENCE_MS, READ_ON_SILENCE_MS)
    this.touch()
    this.dueMs = this.#nextDueMs()
    startTimer(this)
    this.#relaying?.readOn()
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
