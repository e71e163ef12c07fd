/** Bytes that arrive piece by piece, in one place. Appending one at a time costs as much as all at once. */

export type ByteStore = {
  length(): number
  /** What is reserved for them in memory. */
  capacity(): number
  view(): Uint8Array
  append(bytes: Uint8Array): void
  /** Empties it. What `view` gave before stays as it is: the next bytes get memory of their own. */
  clear(): void
}

/**
 * A message of a stream, or a document, that is longer than this is not kept: half of what a stalled reader may hold. The
 * store reserves no more in advance; whoever appends keeps to it.
 */
export const MESSAGE_BYTES_MAX = 2 * 1024 * 1024

const EMPTY = new Uint8Array(0)
/** Most events of a stream fit in. */
const CAPACITY_MIN = 512

export function createByteStore(capacityMin = CAPACITY_MIN): ByteStore {
  let memory = EMPTY
  let length = 0

  const view = () => memory.subarray(0, length)
  const clear = () => {
    memory = EMPTY
    length = 0
  }
  const append = (bytes: Uint8Array) => {
    const needed = length + bytes.length
    if (needed > memory.length) {
      const ahead = Math.min(Math.max(memory.length * 2, capacityMin), MESSAGE_BYTES_MAX)
      const larger = new Uint8Array(Math.max(needed, ahead))
      larger.set(view())
      memory = larger
    }
    memory.set(bytes, length)
    length = needed
  }
  return {
    length: () => length,
    capacity: () => memory.length,
    view,
    append,
    clear,
  }
}
