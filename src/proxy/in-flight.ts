/**
 * What calls in flight take of this process, each bounded in all and shared fairly: slots, of which every call needs one, and
 * memory for bodies. Never stored: a count that outlives its calls would lock a key out for ever.
 */
import type { Refusal } from '../errors.ts'
import { createFairShare, type FairShare } from '../lib/fair-share.ts'
import { collectGarbageSoon } from '../lib/process/collect-garbage.ts'
import { atConcurrency, BUSY_RETRY_AFTER_S } from '../quota/concurrency.ts'
import type { Leaving } from './send/leaving.ts'

export type InFlightLimits = {
  /** Most calls at once. No key and no upstream may have more of them than are free. */
  readonly callsMax: number
  /** Most bytes of bodies that are held at once. No key may hold more of them than are free. */
  readonly bufferBytesMax: number
}

/** The part of one call. */
export type Slot = {
  /** Counts the call to its upstream as well, once that is known. Null, or why it must wait. */
  callUpstream(upstream: string, concurrency: number | null): Refusal | null
  /** Most bytes that one call can ever be given: half of what there is. */
  readonly memoryMax: number
  /** Takes memory until `release`, or until `giveBack`; false if there is none for this key. */
  takeMemory(bytes: number): boolean
  giveBack(bytes: number): void
  /**
   * Takes memory for an answer that its client does not read, until the function that it returns is called. If the key has no
   * more, that of its answers which has waited longest is cut off by its `cut`, which may be this one.
   */
  holdUnread(bytes: number, cut: () => void): () => void
  /** Gives everything back. Only the first time counts. */
  release(): void
}

export type InFlight = {
  /**
   * A slot for a call of this key, or why it must wait. `held` is the slot that the call has already, if what was known of
   * its key when it entered was out of date.
   */
  enter(key: number, concurrency: number | null, held: Slot | null): Slot | Refusal
  /** For metrics. */
  readonly calls: number
  readonly bufferBytes: number
}

export function isSlot(entered: Slot | Refusal): entered is Slot {
  return 'release' in entered
}

type GiveWay = Leaving['giveWay']

/** `limits` is asked each time: they may change. Calls whose clients have gone give way to those that somebody waits for. */
export function createInFlight(
  limits: () => InFlightLimits,
  leaving: { readonly giveWay: GiveWay },
): InFlight {
  return new CallsInFlight(limits, (isInTheWay) => leaving.giveWay(isInTheWay))
}

class CallsInFlight implements InFlight {
  readonly limits: () => InFlightLimits
  readonly giveWay: GiveWay
  readonly ofKeys: FairShare<number>
  readonly ofUpstreams: FairShare<string>
  readonly memory: FairShare<number>
  /** By key: how to cut off its answers that nobody reads, the longest wait first. */
  readonly #unread = new Map<number, Set<() => void>>()

  constructor(limits: () => InFlightLimits, giveWay: GiveWay) {
    this.limits = limits
    this.giveWay = giveWay
    this.ofKeys = createFairShare(() => limits().callsMax)
    this.ofUpstreams = createFairShare(() => limits().callsMax)
    this.memory = createFairShare(() => limits().bufferBytesMax)
  }

  get calls(): number {
    return this.ofKeys.taken
  }

  get bufferBytes(): number {
    return this.memory.taken
  }

  enter(key: number, concurrency: number | null, held: Slot | null): Slot | Refusal {
    const entered = this.#enter(key, concurrency, held)
    if (isSlot(entered) || !this.giveWay((call) => call.key === key)) return entered
    return this.#enter(key, concurrency, held)
  }

  #enter(key: number, concurrency: number | null, held: Slot | null): Slot | Refusal {
    const others = this.ofKeys.heldBy(key) - (held ? 1 : 0)
    if (concurrency !== null && others >= concurrency) return atConcurrency('This key', concurrency)
    if (held) return held
    if (this.ofKeys.take(key, 1)) return new CallSlot(this, key)
    return this.ofKeys.heldBy(key) > 0 ? KEY_AT_SHARE : FULL
  }

  holdUnread(key: number, bytes: number, cut: () => void): () => void {
    const waiting = this.#unread.get(key) ?? new Set()
    this.#unread.set(key, waiting)
    let isHeld = false
    const letGo = () => {
      waiting.delete(end)
      if (waiting.size === 0) this.#unread.delete(key)
      if (isHeld) this.memory.give(key, bytes)
      isHeld = false
    }
    const end = () => {
      letGo()
      cut()
      collectGarbageSoon()
    }
    waiting.add(end)
    while (waiting.has(end) && !isHeld) {
      isHeld = this.memory.take(key, bytes)
      const [longest] = waiting
      if (!isHeld) longest?.()
    }
    return letGo
  }
}

class CallSlot implements Slot {
  readonly #all: CallsInFlight
  readonly #key: number
  #upstream: string | null = null
  #bytes = 0
  #isReleased = false

  constructor(all: CallsInFlight, key: number) {
    this.#all = all
    this.#key = key
  }

  get memoryMax(): number {
    return Math.floor(this.#all.limits().bufferBytesMax / 2)
  }

  callUpstream(upstream: string, concurrency: number | null): Refusal | null {
    const crowded = this.#callUpstream(upstream, concurrency)
    if (!crowded || !this.#all.giveWay((call) => call.upstream === upstream)) return crowded
    return this.#callUpstream(upstream, concurrency)
  }

  #callUpstream(upstream: string, concurrency: number | null): Refusal | null {
    const { ofUpstreams } = this.#all
    // A call is resolved again if its key has changed meanwhile, perhaps to another target.
    if (this.#upstream !== null) ofUpstreams.give(this.#upstream, 1)
    this.#upstream = null
    if (concurrency !== null && ofUpstreams.heldBy(upstream) >= concurrency)
      return atConcurrency('This upstream', concurrency)
    if (!ofUpstreams.take(upstream, 1)) return UPSTREAM_AT_SHARE
    this.#upstream = upstream
    return null
  }

  // A property, since it is handed on by itself.
  readonly takeMemory = (bytes: number): boolean => {
    if (this.#isReleased || !this.#all.memory.take(this.#key, bytes)) return false
    this.#bytes += bytes
    return true
  }

  giveBack(bytes: number): void {
    if (this.#isReleased) return
    this.#bytes -= bytes
    this.#all.memory.give(this.#key, bytes)
  }

  holdUnread(bytes: number, cut: () => void): () => void {
    return this.#all.holdUnread(this.#key, bytes, cut)
  }

  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    const { ofKeys, ofUpstreams, memory } = this.#all
    ofKeys.give(this.#key, 1)
    if (this.#upstream !== null) ofUpstreams.give(this.#upstream, 1)
    if (this.#bytes > 0) memory.give(this.#key, this.#bytes)
  }
}

const KEY_AT_SHARE: Refusal = {
  code: 'concurrency_limit_exceeded',
  message: 'This key has its share of all calls in flight. Wait for one of its calls to end.',
  retryAfterS: BUSY_RETRY_AFTER_S,
}

const UPSTREAM_AT_SHARE: Refusal = {
  code: 'overloaded',
  message: 'This upstream has its share of all calls in flight. Try again in a moment.',
  retryAfterS: BUSY_RETRY_AFTER_S,
}

const FULL: Refusal = {
  code: 'overloaded',
  message: 'The server has as many calls in flight as it takes. Try again in a moment.',
  retryAfterS: BUSY_RETRY_AFTER_S,
}

export const NO_MEMORY: Refusal = {
  code: 'overloaded',
  message:
    'The server holds as many bytes of bodies as it takes from this key. Try again in a moment.',
  retryAfterS: BUSY_RETRY_AFTER_S,
}
