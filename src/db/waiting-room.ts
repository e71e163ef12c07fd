/**
 * How much may wait for an answer of the store: of each who asks, and of all holders together. Whoever asks beyond that is
 * refused at once, and so is what takes too long.
 */
import { OPERATOR } from '../domain/store.ts'
import { AppError } from '../errors.ts'

/** Queueing included. Who asks has gone by then, or believes that nobody answers. */
export const ANSWER_MS_MAX = 10_000

/** More than any page asks for at once. */
const WAITING_MAX = 16
/** The operator's own pages and scripts share one name. */
const WAITING_MAX_OPERATOR = 64
/** Of all holders; the operator is answered even when these ask too much. */
const WAITING_MAX_HOLDERS = 512

export type WaitingRoom = {
  /** Throws an AppError if there is no room. */
  enter(asker: string): void
  leave(asker: string): void
}

export function createWaitingRoom(): WaitingRoom {
  const waiting = new Map<string, number>()
  let holders = 0

  function enter(asker: string): void {
    const own = waiting.get(asker) ?? 0
    const isOperator = asker === OPERATOR
    if (own >= (isOperator ? WAITING_MAX_OPERATOR : WAITING_MAX))
      throw refusal('Too many of your questions are waiting for an answer. Ask fewer at once.')
    if (!isOperator && holders >= WAITING_MAX_HOLDERS)
      throw refusal('Too many questions are waiting for an answer. Ask again in a moment.')
    waiting.set(asker, own + 1)
    if (!isOperator) holders++
  }

  function leave(asker: string): void {
    const left = (waiting.get(asker) ?? 0) - 1
    if (left > 0) waiting.set(asker, left)
    else waiting.delete(asker)
    if (asker !== OPERATOR) holders--
  }

  return { enter, leave }
}

export function tookTooLong(): AppError {
  return refusal('The answer took too long. Ask for a shorter range or a smaller page, or later.')
}

function refusal(message: string): AppError {
  return new AppError('rate_limit_exceeded', message, { retryAfterS: 1 })
}
