/**
 * Listens to a stream of messages. A message is parsed only if it looks as if it reported usage, so
 * that the thousands of others cost a search for a few bytes. The messages of one chunk are
 * searched together.
 */
import { picker } from '../../lib/json/member.ts'
import { own, REPORT, readUsage } from '../report.ts'
import { complete, type Reported } from '../usage.ts'
import { type ByteStore, createByteStore, MESSAGE_BYTES_MAX } from './byte-store.ts'
import type { Framing } from './framing.ts'
import type { MeteringTap, Tap } from './tap.ts'

/**
 * While usage is hidden, a longer message is handed on before it is complete; the chunk that is
 * hidden has 500 bytes.
 */
const HELD_BYTES_MAX = 64 * 1024

/** `"usage":null`, which OpenAI writes into every other chunk of the stream, is not among them. */
const SIGNS = ['"usage":{', '"usage": {', 'eval_count"'].map((sign) => Buffer.from(sign))

/** What tells the chunk that is hidden from others beside the report. */
const pickReport = picker({ ...REPORT, choices: true })

const LF = 10
const CR = 13

export function createStreamTap(framing: Framing, hideUsage: boolean): MeteringTap {
  const messages = createMessages(framing)
  let report: Reported = {}

  /**
   * Reads all messages, and answers with the bytes of those that may be shown. `from` cannot be
   * hidden any more.
   */
  function read(bytes: Uint8Array, from: number): Uint8Array[] {
    const shown: Uint8Array[] = []
    let shownTo = from
    const nextSign = findSigns(bytes)
    for (let at = nextSign(0); at !== -1; ) {
      const start = framing.lastEnd(bytes.subarray(0, at), 0)
      const end = framing.nextEnd(bytes, at)
      at = nextSign(end)
      const message = pickReport(framing.json(bytes.subarray(start, end)))
      report = { ...report, ...readUsage(message) }
      if (!hideUsage || start < from || !isUsageChunk(message)) continue
      shown.push(bytes.subarray(shownTo, start))
      shownTo = end
    }
    shown.push(bytes.subarray(shownTo))
    return shown
  }

  const hiding = hideUsage ? createHiding(messages, read) : null
  return {
    alters: hideUsage,
    pass(chunk) {
      if (hiding) return hiding.pass(chunk)
      const whole = messages.push(chunk)
      if (whole) read(whole, 0)
      return chunk
    },
    // The last message need not have its end: what counts is that the stream has.
    flush: () => hiding?.flush() ?? null,
    usage() {
      read(messages.rest(), 0)
      return complete(report)
    },
    units: () => null,
    retained: messages.retained,
  }
}

/** Cuts the stream after its last whole message, and keeps what follows. */
function createMessages(framing: Framing) {
  const held = createByteStore()
  return {
    /** All messages that this chunk completes; null if it completes none. */
    push(chunk: Uint8Array): Uint8Array | null {
      if (held.length() > MESSAGE_BYTES_MAX) giveUp(held)
      const before = held.length()
      if (before > 0) held.append(chunk)
      const bytes = before > 0 ? held.view() : chunk
      const end = framing.lastEnd(bytes, before)
      // Most pieces are whole messages.
      if (before === 0 && end === bytes.length) return bytes
      if (end > 0) held.clear()
      if (end > 0 || before === 0) held.append(bytes.subarray(end))
      return end > 0 ? bytes.subarray(0, end) : null
    },
    rest: held.view,
    clear: held.clear,
    retained: held.capacity,
  }
}

/**
 * Only the end of the message is still of interest, which the next byte and three more tell; `x`
 * stands for the rest.
 */
function giveUp(held: ByteStore): void {
  held.keepLast(3)
  const end = held.view()
  held.clear()
  held.append(Buffer.from('x'))
  held.append(end)
}

type Messages = ReturnType<typeof createMessages>

/**
 * Hands on whole messages, except the ones that are hidden, and whatever is too long to wait for
 * its end.
 */
function createHiding(
  messages: Messages,
  read: (bytes: Uint8Array, from: number) => Uint8Array[],
): Pick<Tap, 'pass' | 'flush'> {
  /** Whether the message that is under way has been handed on as far as it has arrived. */
  let passing = false
  /** Whether the last message was hidden up to a CR: an LF behind it goes with it. */
  let hidLineEnd = false

  function pass(arrived: Uint8Array): Uint8Array | null {
    if (arrived.length === 0) return null
    const chunk = hidLineEnd && arrived[0] === LF ? arrived.subarray(1) : arrived
    hidLineEnd = false
    const whole = messages.push(chunk)
    if (!whole) {
      if (passing) return join([chunk])
      if (messages.rest().length <= HELD_BYTES_MAX) return null
      passing = true
      return messages.rest()
    }
    const rest = messages.rest()
    const shown = read(whole, passing ? whole.length + rest.length - chunk.length : 0)
    hidLineEnd = rest.length === 0 && whole.at(-1) === CR && shown.at(-1)?.length === 0
    passing = rest.length > HELD_BYTES_MAX
    return join(passing ? [...shown, rest] : shown)
  }

  function flush(): Uint8Array | null {
    const rest = messages.rest()
    const shown = read(rest, passing ? rest.length : 0)
    messages.clear()
    return join(shown)
  }

  return { pass, flush }
}

function join(pieces: readonly Uint8Array[]): Uint8Array | null {
  const full = pieces.filter((piece) => piece.length > 0)
  const [first = null] = full
  return full.length > 1 ? Buffer.concat(full) : first
}

/**
 * Where the next sign stands at or after a place; -1 if nowhere. To be asked for one place after
 * the other.
 */
function findSigns(bytes: Uint8Array): (from: number) => number {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const found = SIGNS.map((sign) => ({ sign, at: buffer.indexOf(sign) }))
  return (from) => {
    let next = -1
    for (const one of found) {
      if (one.at !== -1 && one.at < from) one.at = buffer.indexOf(one.sign, from)
      if (one.at !== -1 && (next === -1 || one.at < next)) next = one.at
    }
    return next
  }
}

/**
 * The chunk that OpenAI sends for `include_usage`, and for nothing else: it has usage, and not one
 * choice.
 */
function isUsageChunk(message: unknown): boolean {
  const choices = own(message, 'choices')
  const usage = own(message, 'usage')
  return (
    Array.isArray(choices) && choices.length === 0 && typeof usage === 'object' && usage !== null
  )
}
