/**
 * Listens on to an upstream whose client has gone: what it has done already may not have been reported yet, and whoever
 * leaves just before the report must not have it for nothing. Bounded in time and in bytes.
 */

/** A report follows the last piece of its response at once. */
const SILENCE_MS = 250
const LONGEST_MS = 5_000
const BYTES_MAX = 4 * 1024 * 1024

export type Linger = {
  /** The upstream has said something. */
  heard(bytes: number): void
}

/** `over` is called once: when the upstream is silent, or has gone on for too long. */
export function startLinger(over: () => void): Linger {
  let left = BYTES_MAX
  const end = () => {
    clearTimeout(silence)
    clearTimeout(longest)
    over()
  }
  const silence = setTimeout(end, SILENCE_MS)
  const longest = setTimeout(end, LONGEST_MS)
  return {
    heard(bytes) {
      if (left <= 0) return
      left -= bytes
      if (left > 0) silence.refresh()
      else end()
    },
  }
}
