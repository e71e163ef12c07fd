/**
 * Listens to an answer that is JSON: one document, or many, one after the other or in one list, on lines of their own or not.
 * Most come in one piece, which is parsed when it has ended. Of others nothing is kept but what they report.
 */
import { JsonWalker } from '../../lib/json/walk.ts'
import { createReading, type Reading } from '../dialects/index.ts'
import type { Listener } from './tap.ts'
import { UNSIGNED_MAX, WALK } from './walk-answer.ts'

/** The engine's own parser reads a short document faster than any walk over it, within a millisecond. */
const SHORT_BYTES_MAX = 64 * 1024

const UTF8 = new TextDecoder()

/** `keeps` is whether the bytes stay as they are when they have been taken. */
export class DocumentListener implements Listener {
  readonly #keeps: boolean
  readonly #reading: Reading = createReading()
  #only: Uint8Array | null = null
  #walker: JsonWalker | null = null
  #values = 0

  constructor(keeps: boolean) {
    this.#keeps = keeps
  }

  get retained(): number {
    return (this.#only?.length ?? 0) + (this.#walker?.retained ?? 0)
  }

  take(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.#walker === null && this.#only === null && bytes.length <= SHORT_BYTES_MAX) {
      this.#only = this.#keeps ? bytes : new Uint8Array(bytes)
      return
    }
    const walker = this.#walk()
    walker.write(bytes, 0, bytes.length)
  }

  end(): void {
    if (this.#only !== null && this.#takeWhole(this.#only)) return
    this.#walk().end()
  }

  usage() {
    return this.#reading.usage()
  }

  unknown() {
    return this.#reading.unknown()
  }

  failed(): boolean {
    return this.#reading.failed()
  }

  /** Of a short document it is not known before somebody asks. */
  writtenBytes(): number {
    return this.#walk().written
  }

  /** The walker, at the place behind all that has come. */
  #walk(): JsonWalker {
    if (this.#walker === null) {
      const walker = new JsonWalker(WALK, (value) => this.#takeValue(walker, value))
      this.#walker = walker
    }
    const only = this.#only
    this.#only = null
    if (only !== null) this.#walker.write(only, 0, only.length)
    return this.#walker
  }

  #takeValue(walker: JsonWalker, value: object): void {
    // What was parsed whole has been taken.
    if (this.#values < 0) return
    this.#reading.take(value)
    walker.isEager = ++this.#values < UNSIGNED_MAX && this.#reading.model === undefined
  }

  /** Whether it is one document. */
  #takeWhole(bytes: Uint8Array): boolean {
    let document: unknown
    try {
      document = JSON.parse(UTF8.decode(bytes))
    } catch {
      return false
    }
    this.#values = -1
    if (!Array.isArray(document)) this.#reading.take(document)
    else for (const item of document) this.#reading.take(item)
    return true
  }
}
