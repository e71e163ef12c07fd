/**
 * Makes what listens to an answer: it finds out by the content how the answer is packed and written, whatever the headers say,
 * and reads what it reports of its work.
 */
import type { MeterSettings } from '../../domain/upstream.ts'
import type { Report } from '../reckon.ts'
import { NO_REPORT } from '../reckon.ts'
import { Content, tokenListener } from './content.ts'
import { createNumberTap } from './number.ts'
import { formOf, markLength } from './sniff.ts'
import { EventListener } from './stream/event-listener.ts'
import { createHiding } from './stream/hide.ts'
import type { Listener, MeteringTap, Tap } from './tap.ts'
import { codingsOf, type Unpacker, unpackInto } from './unpack.ts'

export type AnswerTapOptions = {
  readonly contentType: string | null
  readonly contentEncoding: string | null
  readonly settings: MeterSettings
  /** Whether the chunk is hidden in which OpenAI reports usage only because we asked for it. */
  readonly hideUsage: boolean
}

/** Null if nothing is to be read. */
export function createAnswerTap(options: AnswerTapOptions): MeteringTap | null {
  const { settings } = options
  if (settings.kind === 'none') return null
  const codings = codingsOf(options.contentEncoding)
  if (settings.kind === 'json') return createNumberTap(codings, settings.path)
  const type = typeOf(options.contentType)
  const isPlain = codings.length === 0
  return options.hideUsage && isPlain ? new HidingTap(type) : new AnswerTap(type, options)
}

function typeOf(contentType: string | null): string {
  const end = contentType?.indexOf(';') ?? -1
  return (end === -1 ? (contentType ?? '') : (contentType ?? '').slice(0, end)).trim().toLowerCase()
}

/** The first bytes of what is packed without saying so: gzip, zstd and zlib. */
const PACKED: readonly (number | undefined)[] = [0x1f, 0x28, 0x78]

class AnswerTap implements MeteringTap {
  readonly alters = false
  readonly #type: string
  readonly #codings: ReturnType<typeof codingsOf>
  #content: Content | null = null
  #unpacker: Unpacker | null = null
  #report: Report | null = null

  constructor(type: string, { contentEncoding }: Pick<AnswerTapOptions, 'contentEncoding'>) {
    this.#type = type
    this.#codings = codingsOf(contentEncoding)
  }

  pass(chunk: Uint8Array): Uint8Array {
    if (this.#report !== null || chunk.length === 0) return chunk
    const content = this.#content ?? this.#begin(chunk)
    if (this.#unpacker !== null) this.#unpacker.take(chunk)
    else content.take(chunk)
    return chunk
  }

  flush(): null {
    return null
  }

  report(): Report {
    if (this.#report === null) {
      this.#unpacker?.close()
      this.#report = reportOf(this.#content?.listener ?? null)
    }
    return this.#report
  }

  retained(): number {
    return this.#content?.retained ?? 0
  }

  #begin(chunk: Uint8Array): Content {
    const isPacked = this.#codings.length > 0 || PACKED.includes(chunk[0])
    const content = new Content({
      type: this.#type,
      keeps: !isPacked,
      listenerFor: tokenListener,
    })
    if (isPacked) this.#unpacker = unpackInto(content, this.#codings)
    this.#content = content
    return content
  }
}

/** Hides the chunk with usage if the answer is a stream of events, and else lets everything pass. */
class HidingTap implements MeteringTap {
  readonly alters = true
  readonly #type: string
  #hiding: Pick<Tap, 'pass' | 'flush'> | null = null
  #listener: EventListener | null = null
  /** What does not tell yet how the answer is written. */
  #first: Uint8Array | null = null
  #other: AnswerTap | null = null
  #report: Report | null = null

  constructor(type: string) {
    this.#type = type
  }

  pass(chunk: Uint8Array): Uint8Array | null {
    if (this.#hiding) return this.#hiding.pass(chunk)
    if (this.#other) return this.#other.pass(chunk)
    return chunk.length > 0 ? this.#begin(chunk) : null
  }

  flush(): Uint8Array | null {
    return this.#hiding ? this.#hiding.flush() : this.#first
  }

  report(): Report {
    this.#report ??= this.#other?.report() ?? reportOf(this.#listener)
    return this.#report
  }

  retained(): number {
    const kept = this.#first?.length ?? 0
    return kept + (this.#listener?.retained ?? this.#other?.retained() ?? 0)
  }

  #begin(chunk: Uint8Array): Uint8Array | null {
    const first = this.#first ? Buffer.concat([this.#first, chunk]) : chunk
    const form = formOf(first, this.#type === 'text/event-stream')
    if (form === null) {
      this.#first = new Uint8Array(first)
      return null
    }
    this.#first = null
    if (form !== 'events') {
      this.#other = new AnswerTap(this.#type, { contentEncoding: null })
      return this.#other.pass(first)
    }
    this.#listener = new EventListener()
    this.#hiding = createHiding(this.#listener)
    const mark = markLength(first)
    const shown = this.#hiding.pass(first.subarray(mark))
    return mark > 0 ? Buffer.concat([first.subarray(0, mark), shown ?? EMPTY]) : shown
  }
}

const EMPTY = new Uint8Array(0)

function reportOf(listener: Listener | null): Report {
  if (listener === null) return NO_REPORT
  listener.end()
  return new ListenerReport(listener)
}

/** Text is measured only if somebody asks. */
class ListenerReport implements Report {
  readonly #listener: Listener
  readonly usage: Report['usage']
  readonly units = null
  readonly failed: boolean
  readonly isPartial: boolean
  #written: number | undefined

  constructor(listener: Listener) {
    this.#listener = listener
    this.usage = listener.usage()
    this.failed = listener.failed()
    this.isPartial = listener.isPartial?.() ?? false
  }

  unknown(): readonly string[] | null {
    return this.#listener.unknown?.() ?? null
  }

  get writtenBytes(): number {
    this.#written ??= this.#listener.writtenBytes()
    return this.#written
  }
}
