/**
 * Works on many queries at once, a step of each in turn. Those who ask take turns, not their queries: who asks a hundred
 * questions is served no faster than who asks one, and a long question holds up no short one of somebody else.
 */
import { ANSWER_MS_MAX } from '../../waiting-room.ts'

/** The `code` of the error with which a query ends that took too long. */
export const TOO_LONG = 'QUERY_TOO_LONG'

type Query = {
  readonly steps: Iterator<undefined, unknown>
  readonly untilMs: number
  readonly done: (answer: unknown) => void
  readonly failed: (error: unknown) => void
}

export type Turns = {
  add(
    asker: string,
    steps: Iterator<undefined, unknown>,
    done: Query['done'],
    failed: Query['failed'],
  ): void
  /** Drops everything, unanswered. */
  clear(): void
}

/** Works for `sliceMs` at a time, or up to an answer; `rest` lets others work, and then goes on. `nowMs` is any clock that never goes back. */
export function createTurns(
  sliceMs: number,
  rest: (goOn: () => void) => void,
  nowMs: () => number,
): Turns {
  /** Askers in the order of their turns. */
  const lines = new Map<string, Query[]>()
  let working = false

  function work(): void {
    const until = nowMs() + sliceMs
    for (const asker of lines.keys()) {
      if (takeTurn(asker) || nowMs() >= until) break
    }
    working = lines.size > 0
    if (working) rest(work)
  }

  /** True if a query has ended. A map lists what was put into it last at its end, also while it is being walked. */
  function takeTurn(asker: string): boolean {
    const line = lines.get(asker) ?? []
    lines.delete(asker)
    const query = line[0]
    const ended = query !== undefined && step(query, nowMs())
    if (ended) line.shift()
    if (line.length > 0) lines.set(asker, line)
    return ended
  }

  return {
    add(asker, steps, done, failed) {
      const query = { steps, untilMs: nowMs() + ANSWER_MS_MAX, done, failed }
      const line = lines.get(asker)
      if (line) line.push(query)
      else lines.set(asker, [query])
      if (working) return
      working = true
      rest(work)
    },
    clear: () => lines.clear(),
  }
}

/** True if the query has ended. */
function step({ steps, untilMs, done, failed }: Query, nowMs: number): boolean {
  try {
    if (nowMs > untilMs)
      throw Object.assign(new Error('the query took too long'), { code: TOO_LONG })
    const result = steps.next()
    if (result.done) done(result.value)
    return result.done === true
  } catch (error) {
    failed(error)
    return true
  }
}
