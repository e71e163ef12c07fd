/**
 * What a call is charged that has to do with deferred work: such work is charged once, when its report is first seen, to
 * the key that reads it. Before that it costs no tokens and no money, and nothing again after it.
 */
import type { Metered } from '../../domain/call.ts'
import type { Units } from '../../domain/limit.ts'
import { type ByteStore, createByteStore } from '../../metering/answer/byte-store.ts'
import type { Tap } from '../../metering/answer/tap.ts'
import { type Deferral, type DeferredObject, readDeferred } from '../../metering/deferred.ts'
import type { TapMaker } from './taps.ts'

export type Reckoned = {
  readonly charged: Units
  readonly metered?: Metered
  /** Whose work it is that is charged: once. */
  readonly object?: string
}

export type DeferredReading = {
  /** Reads beside what counts the answer. */
  readonly tap: TapMaker
  /** What of a charge stands, by what has been read so far. */
  settle(reckoned: Reckoned): Reckoned
}

export function createDeferredReading(deferral: Deferral, counting: TapMaker): DeferredReading {
  let shown: DeferredObject | null = null
  const note = (object: DeferredObject | null) => {
    // A stream shows the work as it goes on, and steps of it; the last report is that of the whole.
    if (object && (object.isReported || !shown?.isReported)) shown = object
  }
  return {
    tap(answer) {
      const inner = counting(answer)
      return inner && withObjects(inner, note)
    },
    settle(reckoned) {
      const { charged } = reckoned
      if (shown?.isReported && (shown.isDeferred || deferral !== 'shown'))
        return { ...reckoned, object: shown.id }
      // What shows nothing of itself, or was to report and did not, is charged as any call is that reports nothing.
      if (deferral === 'reported' || (deferral === 'asked' && !shown)) return reckoned
      const metered = reckoned.metered && { ...reckoned.metered, estimated: false }
      return { charged: { ...charged, tokens: 0, cost: 0 }, ...(metered && { metered }) }
    },
  }
}

/** A background response holds a long report; an event that is longer is none of those that are looked for. */
const KEPT_BYTES_MAX = 16 * 1024 * 1024

const LF = 10
const OPENING = '{'.charCodeAt(0)

/** The very tap, which hands on what it is given when that has been looked at. */
function withObjects(inner: Tap, note: (object: DeferredObject | null) => void): Tap {
  const kept = createByteStore()
  let isDocument: boolean | null = null
  const pass = inner.pass.bind(inner)
  const flush = inner.flush.bind(inner)
  return Object.assign(inner, {
    pass(chunk: Uint8Array) {
      isDocument ??= beginsDocument(chunk)
      if (kept.length() + chunk.length <= KEPT_BYTES_MAX) kept.append(chunk)
      if (isDocument === false) readLines(kept, note)
      return pass(chunk)
    },
    flush() {
      readRest(kept, note)
      return flush()
    },
  })
}

/** Null if nothing can be told from it. */
function beginsDocument(chunk: Uint8Array): boolean | null {
  const first = chunk.find((byte) => byte > 0x20)
  return first === undefined ? null : first === OPENING
}

/** Reads the lines of a stream that are whole, and keeps the rest. */
function readLines(kept: ByteStore, note: (object: DeferredObject | null) => void): void {
  const bytes = kept.view()
  const end = bytes.lastIndexOf(LF) + 1
  if (end === 0) return
  readText(decode(bytes.subarray(0, end)), note)
  const rest = bytes.subarray(end)
  kept.clear()
  kept.append(rest)
}

function readRest(kept: ByteStore, note: (object: DeferredObject | null) => void): void {
  readText(decode(kept.view()), note)
  kept.clear()
}

/** HTML standard, section 9.2. */
const DATA = /^data: ?(.*"status".*)$/gm

/** A document, or lines of data. */
function readText(text: string, note: (object: DeferredObject | null) => void): void {
  if (!text.includes('"status"')) return
  if (text.trimStart().startsWith('{')) note(readDeferred(text))
  else for (const [, data = ''] of text.matchAll(DATA)) note(readDeferred(data))
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}
