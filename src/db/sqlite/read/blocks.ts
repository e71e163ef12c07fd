/** Finds the entries of a key by the blocks that it has entries in: an index of all of them would be written by each call. */
import type { Database } from 'bun:sqlite'
import { BLOCK_CALLS } from '../ledger/entries.ts'
import type { Steps } from './steps.ts'

/** More calls than any server answers, and within 32 bits of blocks. */
const SEQ_MAX = 2 ** 40 - 1

export function createBlockReader(client: Database) {
  const newestUpTo = client.query<{ block: number | null }, [number, number]>(
    `SELECT max(id) & ${0xffffffff} AS block FROM call_blocks WHERE id >= (?1 << 32) AND id <= ((?1 << 32) | ?2)`,
  )
  const within = client.query<{ seq: number; at: number }, [number, number, number, number]>(
    'SELECT seq, at FROM calls WHERE seq >= ? AND seq < ? AND key_seq = ? ORDER BY seq DESC LIMIT ?',
  )

  /** The newest block of the key that is `last` or older; null if there is none. */
  const blockUpTo = (keySeq: number, last: number) => newestUpTo.get(keySeq, last)?.block ?? null

  return {
    /** When the newest entry of the key was let in; null if there is none. */
    lastAt(keySeq: number): number | null {
      const block = blockUpTo(keySeq, Math.floor(SEQ_MAX / BLOCK_CALLS))
      if (block === null) return null
      const first = block * BLOCK_CALLS
      return within.get(first, first + BLOCK_CALLS, keySeq, 1)?.at ?? null
    },

    /** The newest numbers of the key's entries below one. Each block that is looked through has at least one. */
    *seqs(keySeq: number, limit: number, before = SEQ_MAX): Steps<number[]> {
      const seqs: number[] = []
      for (let last = Math.floor((before - 1) / BLOCK_CALLS); last >= 0; ) {
        const block = blockUpTo(keySeq, last)
        if (block === null) break
        const first = block * BLOCK_CALLS
        const end = Math.min(before, first + BLOCK_CALLS)
        for (const { seq } of within.all(first, end, keySeq, limit - seqs.length)) seqs.push(seq)
        if (seqs.length >= limit) break
        last = block - 1
        yield
      }
      return seqs
    },
  }
}
