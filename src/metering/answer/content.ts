/** Finds out how an unpacked answer is written, and has it read by who can. */
import { DocumentListener } from './document.ts'
import { FrameListener } from './frames/frame-listener.ts'
import { type Form, formOf, markLength } from './sniff.ts'
import { EventListener } from './stream/event-listener.ts'
import type { Listener } from './tap.ts'
import type { Sink } from './unpack.ts'

/** Takes an answer of one form. */
type Taker = Pick<Listener, 'take' | 'retained'>

type About = {
  /** The media type, without parameters. */
  readonly type: string
  /** Whether the bytes stay as they are when they have been taken. */
  readonly keeps: boolean
}

type ContentOptions<Reader> = About & {
  /** Who reads an answer of that form; null is nobody. */
  readonly listenerFor: (form: Form, about: About) => Reader | null
}

export class Content<Reader extends Taker = Listener> implements Sink {
  readonly #options: ContentOptions<Reader>
  #first: Uint8Array | null = null
  listener: Reader | null = null
  isDone = false

  constructor(options: ContentOptions<Reader>) {
    this.#options = options
  }

  get retained(): number {
    return (this.#first?.length ?? 0) + (this.listener?.retained ?? 0)
  }

  take(bytes: Uint8Array): void {
    if (this.listener) this.listener.take(bytes)
    else if (!this.isDone) this.#begin(bytes)
  }

  #begin(bytes: Uint8Array): void {
    const first = this.#first ? Buffer.concat([this.#first, bytes]) : bytes
    const form = formOf(first, this.#options.type === 'text/event-stream')
    if (form === null) {
      this.#first = new Uint8Array(first)
      return
    }
    this.#first = null
    this.listener = this.#options.listenerFor(form, this.#options)
    this.isDone = this.listener === null
    this.listener?.take(first.subarray(markLength(first)))
  }
}

/** Of an answer that is metered by its tokens. */
export function tokenListener(form: Form, { type, keeps }: About): Listener | null {
  if (form === 'events') return new EventListener()
  if (form === 'json') return new DocumentListener(keeps)
  if (form === 'frames') return new FrameListener()
  return form === 'text' && PLAIN.includes(type) ? new TextListener() : null
}

/** Forms in which transcripts of sound are asked for, besides JSON: all of them is text. A page of a web site is not. */
const PLAIN = ['text/plain', 'text/vtt', 'text/srt', 'application/x-subrip', 'text/markdown']

class TextListener implements Listener {
  readonly retained = 0
  #bytes = 0
  take(bytes: Uint8Array): void {
    this.#bytes += bytes.length
  }
  end(): void {}
  usage() {
    return {}
  }
  failed(): boolean {
    return false
  }
  writtenBytes(): number {
    return this.#bytes
  }
}
