/**
 * Estimates how much of a stream is text that a model wrote, and how much is framing around it, from a few of its events. The
 * first are measured one by one, later ones more and more rarely, and only when somebody asks: a stream that reports has no
 * need of it. Off by a tenth where events are much alike, as they are from word to word; by more where a few events hold most
 * of the text or none, and never above the bytes that passed. Keeps a few kilobytes.
 */
import { createByteStore } from '../byte-store.ts'
import { hasCr, lastEnd, nextEnd } from './event-ends.ts'
import { EventReader } from './event-reader.ts'

/** What the framing of an event takes in any API, and the beginning of its text. */
const SAMPLE_BYTES = 512
/** So much of the beginning is measured. */
const NEAR_BYTES = 1024
/** The next sample is taken when half as much has passed as before, of long streams an eighth: there it costs little. */
const SHORT_BYTES = 16 * 1024
const SHORT_STEPS = 2
const LONG_STEPS = 8
const SAMPLES_MAX = 16
/** The samples of a short stream fit in. */
const SAMPLES_BYTES = 4 * SAMPLE_BYTES
/** What closes the text and all around it: `"}}]}` with the empty line, and the end of the usual members. */
const CLOSING_BYTES = 16

type Sample = { readonly length: number; readonly tail: number; readonly isNear: boolean }

export class TextSample {
  #total = 0
  /** Whether the piece at hand may have lines that end with CR. */
  #mayHaveCr = false
  /** Where the next sample is taken, counted from the start of the stream. */
  #next = 0
  /** Samples that have not been measured yet, and their bytes one after the other. */
  #kept: Sample[] = []
  readonly #bytes = createByteStore(SAMPLES_BYTES)
  /** What the first events hold, one by one. */
  #nearBytes = 0
  #nearWritten = 0
  /** The share of text in later samples, added up. A place is as likely in an event as that is long: their mean is the share. */
  #shares = 0
  #far = 0
  #reader: EventReader | null = null

  get retained(): number {
    return this.#bytes.capacity()
  }

  /** `events` begins with an event. */
  take(events: Uint8Array): void {
    const before = this.#total
    this.#total += events.length
    if (this.#next < this.#total) this.#sample(events, before)
  }

  #sample(events: Uint8Array, before: number): void {
    // Many come one by one.
    if (events.length <= SAMPLE_BYTES && nextEnd(events, 0) === events.length) {
      this.#add(events, events.length, before)
      return
    }
    this.#mayHaveCr = hasCr(events)
    while (this.#next < this.#total) {
      const place = this.#next - before
      this.#keep(events, place > 0 ? lastEnd(events, 0, place, this.#mayHaveCr) : 0, before)
    }
  }

  /** Bytes of text in all that was taken. */
  written(): number {
    this.#measureAll()
    const nearShare = this.#nearBytes > 0 ? this.#nearWritten / this.#nearBytes : 0
    const share = this.#far > 0 ? this.#shares / this.#far : nearShare
    const rest = Math.max(0, this.#total - this.#nearBytes)
    return this.#nearWritten + Math.round(rest * share)
  }

  /** The whole events that fit, or the beginning of one. */
  #keep(events: Uint8Array, from: number, before: number): void {
    const most = Math.min(events.length, from + SAMPLE_BYTES)
    const whole = most < events.length ? lastEnd(events, from, most, this.#mayHaveCr) : most
    const to = whole > from ? whole : most
    const end = whole > from ? whole : nextEnd(events, most - 1, this.#mayHaveCr)
    const sample = from === 0 && to === events.length ? events : events.subarray(from, to)
    this.#add(sample, end - from, before + from)
  }

  /** `length` is that of the event, or of the events, that the sample is the beginning of. */
  #add(sample: Uint8Array, length: number, start: number): void {
    this.#bytes.append(sample)
    const tail = length - sample.length
    this.#kept.push({ length: sample.length, tail, isNear: start < NEAR_BYTES })
    const covered = start + length
    const steps = covered < SHORT_BYTES ? SHORT_STEPS : LONG_STEPS
    this.#next = covered + Math.floor(Math.max(0, covered - NEAR_BYTES) / steps)
    if (this.#kept.length === SAMPLES_MAX) this.#measureAll()
  }

  #measureAll(): void {
    const bytes = this.#bytes.view()
    let from = 0
    for (const sample of this.#kept) {
      this.#measure(bytes, from, sample)
      from += sample.length
    }
    this.#kept = []
    this.#bytes.clear()
  }

  #measure(bytes: Uint8Array, from: number, { length, tail, isNear }: Sample): void {
    this.#reader ??= new EventReader(ignore)
    const reader = this.#reader
    const before = reader.written
    const to = from + length
    let at = from
    while (at !== -1 && at < to) at = reader.write(bytes, at, to)
    const isInText = tail > 0 && reader.isInText
    reader.end()
    const closed = isInText ? Math.max(0, tail - CLOSING_BYTES) : 0
    const written = reader.written - before + closed
    if (isNear) {
      this.#nearBytes += length + tail
      this.#nearWritten += written
    } else {
      this.#far++
      this.#shares += written / (length + tail)
    }
  }
}

function ignore(): void {}
