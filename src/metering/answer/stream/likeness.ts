/**
 * Knows how events of a stream begin alike: the beginning, which is most of an event, need not be searched again for what was
 * not in it before. It compares bytes, and knows nothing of what they mean. Keeps at most a kilobyte.
 */

const { compare } = Buffer.prototype

/** Shorter beginnings are searched in as little time as they are compared. */
const ALIKE_BYTES_MIN = 48
const ALIKE_BYTES_MAX = 512

/** How much more often events may differ than be alike until it is no longer tried. */
const TRIES = 4

const COMMA = 0x2c
const BRACE = 0x7b

const EMPTY = new Uint8Array(0)

export class Likeness {
  /** The last event that was not alike, as much of it as may be compared, and how much of it was in the one before. */
  #last: Uint8Array = EMPTY
  #alike = 0
  #tries = TRIES

  get retained(): number {
    return this.#last.length
  }

  /** How many bytes at that place were searched before, and held nothing. */
  lengthAt(bytes: Uint8Array, start: number): number {
    const alike = this.#alike
    if (alike === 0 || start + alike > bytes.length) return 0
    // Last in the order of arguments comes what is compared with: `bytes` from `start` on.
    if (compare.call(bytes, this.#last, 0, alike, start, start + alike) !== 0) return 0
    if (this.#tries < TRIES) this.#tries++
    // A name and what follows its colon hold none of these: what is behind one is searched anew.
    return alike - 1
  }

  /** An event was searched that was not alike, and it held nothing. */
  learn(bytes: Uint8Array, start: number, end: number): void {
    if (this.#tries === 0) return
    this.#tries--
    const most = Math.min(end - start, ALIKE_BYTES_MAX)
    const last = this.#last
    let same = 0
    while (same < most && same < last.length && bytes[start + same] === last[same]) same++
    while (same > 0 && bytes[start + same - 1] !== COMMA && bytes[start + same - 1] !== BRACE)
      same--
    this.#alike = same >= ALIKE_BYTES_MIN ? same : 0
    this.#last = this.#tries === 0 ? EMPTY : new Uint8Array(bytes.subarray(start, start + most))
    if (this.#tries === 0) this.#alike = 0
  }
}
