/**
 * What becomes of calls whose clients have gone: why they ended, and which of them are read on for. The rest of an answer
 * tells what the call has consumed, so that leaving just before that is not cheaper. How much is read on for is bounded in
 * time, in bytes and in calls.
 */

/** Most answers have ended by then, what reasoning models think in silence before them included. */
export const READ_ON_MS = 30_000

/** Models that write do so several times a second. One that is silent has stopped, or thinks about what nobody will read. */
export const READ_ON_SILENCE_MS = 3_000

/** Ten times the longest text that models write at once, in the framing of a stream. */
export const READ_ON_BYTES_MAX = 1024 * 1024

/** A crowd that leaves at once, as when a front restarts, costs no more than these; the others are estimated. */
const CALLS_MAX = 64

/** A call that can be given up although its client has gone. */
export type ReadOn = {
  /** Whose call it is, and where it went. */
  readonly key: number
  readonly upstream: string
  stopReadingOn(): void
}

export type Leaving = {
  /** Why a call ends whose client has gone at this moment. */
  readonly cause: 'client_aborted' | 'interrupted'
  /** Takes the call in, until `leave`; false if it is to end now. */
  enter(call: ReadOn): boolean
  leave(call: ReadOn): void
  /** Ends the oldest of these calls that is in the way of one that somebody waits for; false if none is. */
  giveWay(isInTheWay: (call: ReadOn) => boolean): boolean
  /** The server begins to stop: reading on ends, and is not begun any more. */
  stop(): void
  /** From now on it is the server that closes the connections. */
  cutOff(): void
}

export function createLeaving(): Leaving {
  return new LeavingCalls()
}

class LeavingCalls implements Leaving {
  cause: Leaving['cause'] = 'client_aborted'
  #isStopping = false
  readonly #calls = new Set<ReadOn>()

  enter(call: ReadOn): boolean {
    if (this.#isStopping || this.#calls.size >= CALLS_MAX) return false
    this.#calls.add(call)
    return true
  }

  leave(call: ReadOn): void {
    this.#calls.delete(call)
  }

  giveWay(isInTheWay: (call: ReadOn) => boolean): boolean {
    for (const call of this.#calls) {
      if (!isInTheWay(call)) continue
      call.stopReadingOn()
      return true
    }
    return false
  }

  stop(): void {
    this.#isStopping = true
    for (const call of this.#calls) call.stopReadingOn()
  }

  cutOff(): void {
    this.stop()
    this.cause = 'interrupted'
  }
}
