/**
 * Answers what is asked of the database without holding up a call: each question sees what was committed at one moment, on a
 * connection that is not the ledger's. How much may wait, and for how long, is bounded: for each who asks, and for all holders.
 */
import type { Reads, ReadsFor } from '../../../domain/store.ts'
import { errorCode } from '../../../lib/error-code.ts'
import { ANSWER_MS_MAX, createWaitingRoom, tookTooLong } from '../../waiting-room.ts'
import { listAdjustments } from '../keys/adjustments.ts'
import { type Snapshot, TOO_LONG, type Tx } from '../transact.ts'
import { findCall, listCalls } from './calls.ts'
import { findKey, findKeyEver, listKeys } from './keys.ts'
import { createTurns } from './turns.ts'
import { usageByPeriod, usageByUpstream, usageTotals } from './usage.ts'
import { usageGroups } from './usage-groups.ts'

type Ask = <T>(question: (tx: Tx) => Promise<T>) => Promise<T>

export function createReader(
  snapshot: Snapshot,
  answerMsMax = ANSWER_MS_MAX,
): { readonly reads: ReadsFor } {
  const room = createWaitingRoom()
  const turns = createTurns()

  async function ask<T>(asker: string, question: (tx: Tx) => Promise<T>): Promise<T> {
    room.enter(asker)
    const until = performance.now() + answerMsMax
    try {
      return await turns.take(asker, () => {
        const leftMs = until - performance.now()
        if (leftMs <= 0) throw tookTooLong()
        return snapshot(question, leftMs)
      })
    } catch (error) {
      throw errorCode(error) === TOO_LONG ? tookTooLong() : error
    } finally {
      room.leave(asker)
    }
  }

  return { reads: (asker) => portsOf((question) => ask(asker, question)) }
}

function portsOf(ask: Ask): Reads {
  return {
    keys: {
      find: (ref, at) => ask((tx) => findKey(tx, ref, at)),
      findEver: (id, at) => ask((tx) => findKeyEver(tx, id, at)),
      list: (filter, page, at) => ask((tx) => listKeys(tx, filter, page, at)),
      adjustments: (keySeq, page) => ask((tx) => listAdjustments(tx, keySeq, page)),
    },
    usage: {
      totals: (keySeqs, range) => ask((tx) => usageTotals(tx, keySeqs, range)),
      groups: (filter, spans, by) => ask((tx) => usageGroups(tx, filter, spans, by)),
      byPeriod: (keySeq, range, period) => ask((tx) => usageByPeriod(tx, keySeq, range, period)),
      byUpstream: (keySeq, range) => ask((tx) => usageByUpstream(tx, keySeq, range)),
    },
    calls: {
      find: (seq) => ask((tx) => findCall(tx, seq)),
      list: (filter, page) => ask((tx) => listCalls(tx, filter, page)),
    },
  }
}
