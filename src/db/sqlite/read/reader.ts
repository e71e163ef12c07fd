/**
 * Answers what is asked of the database without holding up a call: in a thread with a connection of its own once `start`
 * has been called, and before that, or for a database in memory, which no other connection can see, in short slices on the
 * connection of the calls. How much may wait is bounded: for each who asks, and for all holders together.
 */
import type { Database } from 'bun:sqlite'
import type { Reads, ReadsFor } from '../../../domain/store.ts'
import { errorCode } from '../../../lib/error-code.ts'
import { createWaitingRoom, tookTooLong } from '../../waiting-room.ts'
import { failureOf } from '../transact.ts'
import { pause } from './pause.ts'
import {
  type Answer,
  type Arguments,
  createBegin,
  type QueryName,
  type Question,
} from './queries.ts'
import { createReadThread } from './thread.ts'
import { createTurns, TOO_LONG } from './turns.ts'

/** On the connection of the calls, a third of the time at most. */
const SLICE_MS = 1
const REST_MS = 2

export type Reader = {
  readonly reads: ReadsFor
  /** Begins to answer from a thread. Returns a function that stops it, to be awaited before the database is closed. */
  start(path: string): () => Promise<void>
}

export function createReader(client: Database): Reader {
  const begin = createBegin(client)
  const turns = createTurns(
    SLICE_MS,
    (goOn) => pause(goOn, REST_MS),
    () => performance.now(),
  )
  const here = (question: Question) =>
    new Promise<unknown>((resolve, reject) =>
      turns.add(question.asker, begin(question), resolve, reject),
    )
  let answer: (question: Question) => Promise<unknown> = here
  const room = createWaitingRoom()

  async function ask<Name extends QueryName>(
    asker: string,
    name: Name,
    ...args: Arguments<Name>
  ): Promise<Answer<Name>> {
    room.enter(asker)
    try {
      return (await answer({ asker, name, args })) as Answer<Name>
    } catch (error) {
      if (errorCode(error) !== TOO_LONG) throw failureOf(error)
      throw tookTooLong()
    } finally {
      room.leave(asker)
    }
  }

  return {
    reads: (asker) => portsOf((name, ...args) => ask(asker, name, ...args)),
    start(path) {
      const thread = createReadThread(path)
      answer = thread.ask
      return () => {
        answer = here
        return thread.stop()
      }
    },
  }
}

function portsOf(
  ask: <Name extends QueryName>(name: Name, ...args: Arguments<Name>) => Promise<Answer<Name>>,
): Reads {
  return {
    keys: {
      find: (ref, at) => ask('findKey', ref, at),
      findEver: (id, at) => ask('findKeyEver', id, at),
      list: (filter, page, at) => ask('listKeys', filter, page, at),
      adjustments: (keySeq, page) => ask('listAdjustments', keySeq, page),
    },
    usage: {
      totals: (keySeqs, range) => ask('usageTotals', keySeqs, range),
      groups: (filter, spans, by) => ask('usageGroups', filter, spans, by),
      byPeriod: (keySeq, range, period) => ask('usageByPeriod', keySeq, range, period),
      byUpstream: (keySeq, range) => ask('usageByUpstream', keySeq, range),
    },
    calls: {
      find: (seq) => ask('findCall', seq),
      list: (filter, page) => ask('listCalls', filter, page),
    },
  }
}
