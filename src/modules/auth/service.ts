/**
 * Is this the admin? Compares in constant time, and slows down guessing by subscriber without ever locking out the right
 * token: it is compared first, and only wrong ones are counted.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { AppError } from '../../errors.ts'
import { senderOf } from '../../http/request/sender.ts'
import { subscriberOf } from '../../lib/network.ts'
import { bearer } from '../../lib/text/bearer.ts'

/** Throws the refusal; returns if the request carries the token. */
export type CheckToken = (request: Request) => void

/** Wrong tokens that one subscriber may send in a minute and still be told that they are wrong. */
const ATTEMPTS_MAX = 10
const WINDOW_MS = 60_000
/** Subscribers remembered; past it the oldest is forgotten, which only makes the throttle milder for it. */
const SUBSCRIBERS_MAX = 10_000

/**
 * `token` is asked each time: it can be changed while the server runs. `elapsedMs` must never run backwards, or a clock that
 * is put back would make a throttle last until it has caught up.
 */
export function createCheckToken(token: () => string, elapsedMs: () => number): CheckToken {
  const attempts = new Map<string, { count: number; since: number }>()

  return (request) => {
    const { ip, listener } = senderOf(request)
    const presented = bearer(request.headers.get('authorization'))
    // Who sends one there wants to know whether it is right.
    if (listener === 'control' && presented === null) return
    if (presented === null) {
      throw new AppError(
        'missing_admin_token',
        'Send the admin token as "Authorization: Bearer <token>".',
      )
    }
    if (timingSafeEqual(digest(presented), digest(token()))) return

    const at = elapsedMs()
    const subscriber = subscriberOf(ip)
    const entry = attempts.get(subscriber)
    const current = entry && at - entry.since < WINDOW_MS ? entry : { count: 0, since: at }
    current.count++
    attempts.delete(subscriber)
    attempts.set(subscriber, current)
    const oldest = attempts.keys().next().value
    if (attempts.size > SUBSCRIBERS_MAX && oldest !== undefined) attempts.delete(oldest)

    if (current.count > ATTEMPTS_MAX) {
      const retryAfterS = Math.max(1, Math.ceil((current.since + WINDOW_MS - at) / 1000))
      throw new AppError(
        'too_many_attempts',
        'Too many wrong tokens from this address. Wait, then send the right one.',
        { retryAfterS },
      )
    }
    throw new AppError(
      'invalid_admin_token',
      'This is not the admin token. Compare it with ADMIN_TOKEN, or with the file admin-token in the data directory.',
    )
  }
}

/** Opens what the admin token opens, and besides to whoever has the token for metrics, or came where none is asked for. */
export function createCheckMetrics(check: CheckToken, token: () => string | undefined): CheckToken {
  return (request) => {
    if (senderOf(request).listener === 'metrics') return
    const expected = token()
    const presented = bearer(request.headers.get('authorization'))
    const isGiven = expected !== undefined && presented !== null
    if (isGiven && timingSafeEqual(digest(presented), digest(expected))) return
    check(request)
  }
}

/** Hashing first makes both sides equally long, whatever was sent. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
