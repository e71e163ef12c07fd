/**
 * Takes the chunk out of a stream of events in which OpenAI reports usage because we asked for it, and nothing else. It hands
 * on whole events, and whatever is too long to wait for its end.
 */
import { own } from '../../../lib/json/object.ts'
import type { Tap } from '../tap.ts'
import { CR, LF } from './event-ends.ts'
import type { EventListener } from './event-listener.ts'

export function createHiding(listener: EventListener): Pick<Tap, 'pass' | 'flush'> {
  /** Whether the last event was hidden up to a CR: an LF behind it goes with it. */
  let hidLineEnd = false

  /** Reads all events, and adds those that may be shown. Whether the last one was hidden. */
  function show(bytes: Uint8Array, shown: Uint8Array[]): boolean {
    let shownTo = 0
    listener.read(bytes, (start, end) => {
      const event = bytes.subarray(start, end)
      if (!mayHoldUsage(event) || !isUsageChunk(jsonOf(event))) return
      shown.push(bytes.subarray(shownTo, start))
      shownTo = end
    })
    shown.push(shownTo === 0 ? bytes : bytes.subarray(shownTo))
    return shownTo > 0 && shownTo === bytes.length
  }

  return {
    pass(arrived) {
      if (arrived.length === 0) return null
      const chunk = hidLineEnd && arrived[0] === LF ? arrived.subarray(1) : arrived
      hidLineEnd = false
      const whole = listener.push(chunk)
      const { ended, begun } = listener
      const shown = ended.length > 0 ? [ended] : []
      if (whole) {
        const isHidden = show(whole, shown)
        const isAll = listener.rest().length === 0 && begun.length === 0
        hidLineEnd = isHidden && isAll && whole.at(-1) === CR
      }
      if (begun.length > 0) shown.push(begun)
      return join(shown)
    },
    flush() {
      const shown: Uint8Array[] = []
      show(listener.rest(), shown)
      listener.clear()
      return join(shown)
    },
  }
}

function join(pieces: readonly Uint8Array[]): Uint8Array | null {
  const [only] = pieces
  if (pieces.length === 1 && only && only.length > 0) return only
  const full = pieces.filter((piece) => piece.length > 0)
  const [first = null] = full
  return full.length > 1 ? Buffer.concat(full) : first
}

const USAGE = Buffer.from('usage')
const BACKSLASH = 0x5c

/** Whether it has the name, or any that is spelled with escapes. */
function mayHoldUsage(event: Uint8Array): boolean {
  return Buffer.prototype.indexOf.call(event, USAGE) !== -1 || event.includes(BACKSLASH)
}

/** A line of data, without the space that may precede it. Not by `^` of many lines, which stands behind U+2028 too. */
const DATA = /(?:^|[\r\n])data: ?([^\r\n]*)/g

function jsonOf(event: Uint8Array): unknown {
  const lines = [...new TextDecoder().decode(event).matchAll(DATA)].map(([, value]) => value ?? '')
  try {
    return JSON.parse(lines.join('\n'))
  } catch {
    return null
  }
}

/**
 * The chunk that is sent for `include_usage`, and for nothing else: it has usage and no choice. Some say `null` for the list of
 * choices or leave it out; then nothing else may be in it than names and numbers that stand in every chunk.
 */
function isUsageChunk(message: unknown): boolean {
  const usage = own(message, 'usage')
  if (typeof message !== 'object' || typeof usage !== 'object' || usage === null) return false
  const choices = own(message, 'choices') ?? null
  if (Array.isArray(choices) ? choices.length > 0 : choices !== null) return false
  if ((own(message, 'error') ?? null) !== null) return false
  return (
    choices !== null || Object.entries(message ?? {}).every(([name, value]) => isEmpty(name, value))
  )
}

/** Members of every chunk, besides what holds nothing. */
const EVERYWHERE: ReadonlySet<string> = new Set([
  ...['id', 'object', 'created', 'model', 'system_fingerprint', 'service_tier', 'provider'],
  ...['choices', 'usage', 'request_id', 'obfuscation', 'x_groq'],
])

function isEmpty(name: string, value: unknown): boolean {
  if (EVERYWHERE.has(name) || value === null || typeof value === 'boolean') return true
  return typeof value === 'object' && Object.keys(value).length === 0
}
