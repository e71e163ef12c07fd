/** Finds the entries of a key by the blocks that it has entries in: an index of all of them would be written by each call. */
import type { Database } from 'bun:sqlite'
import { BLOCK_CALLS } from '../ledger/entries.ts'

/** More calls than any server answers, and within 32 bits of blocks. */
export const SEQ_MAX = 2 ** 40 - 1

export function createBlockReader(client: Database) {
  const newestUpTo = client.query<{ block: number | null }, [number, number]>(
    `SELECT max(id) & ${0xffffffff} AS block FROM call_blocks WHERE id >= (?1 << 32) AND id <= ((?1 << 32) | ?2)`,
  )
  const within = client.query<{ at: number }, [number, number, number]>(
    'SELECT at FROM calls WHERE seq >= ? AND seq < ? AND key_seq = ? ORDER BY seq DESC LIMIT 1',
  )

  /** The newest block of the key that is `last` or older; null if there is none. */
  const blockUpTo = (keySeq: number, last: number) => newestUpTo.get(keySeq, last)?.block ?? null

  const newest = client.query<{ seq: number | null }, []>('SELECT max(seq) AS seq FROM calls')
  /** Past the number of the newest entry. */
  const endOfAll = () => (newest.get()?.seq ?? 0) + 1

  const probe = client.query<{ at: number }, [number]>(
    'SELECT at FROM calls WHERE seq >= ? ORDER BY seq LIMIT 1',
  )

  /** The first number of a call that was admitted at an instant or later: numbers are given in that order. */
  function firstSince(at: number): number {
    let low = 0
    let high = endOfAll()
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      if ((probe.get(middle)?.at ?? Number.POSITIVE_INFINITY) >= at) high = middle
      else low = middle + 1
    }
    return low
  }

  return {
    /** When the newest entry of the key was let in; null if there is none. */
    lastAt(keySeq: number): number | null {
      const block = blockUpTo(keySeq, Math.floor(SEQ_MAX / BLOCK_CALLS))
      if (block === null) return null
      const first = block * BLOCK_CALLS
      return within.get(first, first + BLOCK_CALLS, keySeq)?.at ?? null
    },

    /**
     * Spans of numbers `[first, below)` within `[from, end)`, the newest first, in which the key may have entries, or all
     * keys if none is given.
     */
    *spans(keySeq: number | undefined, from: number, end: number): Generator<[number, number]> {
      let below = keySeq === undefined ? Math.min(end, endOfAll()) : end
      while (below > from) {
        const last = Math.floor((below - 1) / BLOCK_CALLS)
        const block = keySeq === undefined ? last : blockUpTo(keySeq, last)
        if (block === null) return
        const first = Math.max(from, block * BLOCK_CALLS)
        const top = Math.min(below, (block + 1) * BLOCK_CALLS)
        if (top > first) yield [first, top]
        below = first
      }
    },

    firstSince,
  }
}
