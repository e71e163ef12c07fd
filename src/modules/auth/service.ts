/**
 * Checks tokens in constant time. It slows down guessing by subscriber and never locks out the
 * right token: it compares first, and counts only wrong tokens.
 */
import { createHash, timingSafeEqual } from 'node:crypto'
import { AppError } from '../../errors.ts'
import { senderOf } from '../../http/request/sender.ts'
import { bearer } from '../../lib/http-syntax.ts'
import { subscriberOf } from '../../lib/network.ts'

/** Throws the refusal if the request carries no valid token. */
export type CheckToken = (request: Request) => void

/** How many wrong tokens one subscriber may send in a minute before it is throttled. */
const ATTEMPTS_MAX = 10
const WINDOW_MS = 60_000
/**
 * How many subscribers are remembered. Beyond that the oldest is forgotten, which only makes the
 * throttle milder for it.
 */
const SUBSCRIBERS_MAX = 10_000

/**
 * `token` is called for each request, since the token can change while the server runs. `elapsedMs`
 * must never run backwards: after a clock was put back, a throttle would last until it has caught
 * up.
 */
export function createCheckToken(token: () => string, elapsedMs: () => number): CheckToken {
  const attempts = new Map<string, { count: number; since: number }>()

  return (request) => {
    const { ip, listener } = senderOf(request)
    const presented = presentedBy(request)
    // A token that is sent over the control socket is checked all the same.
    if (listener === 'control' && presented === null) return
    if (presented === null) {
      throw new AppError(
        'missing_admin_token',
        'Send the admin token as "Authorization: Bearer <token>".',
      )
    }
    if (isSame(presented, token())) return

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

/** Accepts the admin token, the metrics token, or any request on the metrics listener. */
export function createCheckMetrics(check: CheckToken, token: () => string | undefined): CheckToken {
  return (request) => {
    if (senderOf(request).listener === 'metrics') return
    const expected = token()
    const presented = presentedBy(request)
    if (expected !== undefined && presented !== null && isSame(presented, expected)) return
    check(request)
  }
}

function presentedBy(request: Request): string | null {
  return bearer(request.headers.get('authorization'))
}

/** In constant time. Hashing makes both sides equally long, whatever was sent. */
function isSame(one: string, other: string): boolean {
  return timingSafeEqual(digest(one), digest(other))
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
