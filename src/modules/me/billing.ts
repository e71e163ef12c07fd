/**
 * `/me/billing`: the balance that clients made for OpenAI show, in the form of its old dashboard.
 * They subtract `total_usage` from `hard_limit_usd` whatever range they ask for, so both describe
 * one limit in its present window, and dates change nothing. Such a client knows only dollars: if
 * the key has no limit of money, a unit is shown as a dollar, so that the screen shows the digits
 * of the quota.
 */
import { Elysia } from 'elysia'
import type { KeyRecord, LimitView } from '../../domain/key.ts'
import { type Authenticate, holderGuard } from '../../http/holder.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { BillingSubscription, BillingUsage, billingUsageQuery, subscriptionQuery } from './model.ts'
import { presentAmount } from './show.ts'

const MICROS = 1_000_000
const CENTS = 100
/** The usual answer of such dashboards for "no limit", for which they have no word. */
const UNLIMITED_USD = 100_000_000
/** The last second of the year 9999. Clients would show a zero as 1970, which is long past. */
const NEVER_S = Date.UTC(10_000, 0) / 1000 - 1

/** In order of preference: clients ask for money, and every key has a limit of requests. */
const UNITS = ['cost', 'requests', 'tokens'] as const

const ABOUT =
  'For clients made for OpenAI, in the form of its old dashboard. Told of the limit in money with the longest window; if there is none, of the one in requests or else in tokens, with a unit as a dollar. '

export function billingController(
  findOwn: (keyId: string) => Promise<KeyRecord>,
  authenticate: Authenticate,
) {
  return new Elysia({ name: 'billing', detail: { tags: ['Own usage'] } })
    .use(holderGuard(authenticate))
    .get(
      '/me/billing/subscription',
      async ({ key }) => {
        const { limits, expiresAt } = await findOwn(key.id)
        const { amount, unitsPerUsd } = balanceOf(limits)
        const usd = amount / unitsPerUsd
        return {
          object: 'billing_subscription' as const,
          has_payment_method: true as const,
          soft_limit_usd: usd,
          hard_limit_usd: usd,
          system_hard_limit_usd: usd,
          access_until: expiresAt === null ? NEVER_S : Math.floor(expiresAt / 1000),
        }
      },
      {
        query: subscriptionQuery,
        response: { 200: BillingSubscription },
        detail: {
          operationId: 'getOwnBillingSubscription',
          summary: 'The quota, as OpenAI told it',
          description: `${ABOUT}Parameters are ignored.`,
          ...refuses(),
        },
      },
    )
    .get(
      '/me/billing/usage',
      async ({ key }) => {
        const { used, unitsPerUsd } = balanceOf((await findOwn(key.id)).limits)
        return { object: 'list' as const, total_usage: (used * CENTS) / unitsPerUsd }
      },
      {
        query: billingUsageQuery,
        response: { 200: BillingUsage },
        detail: {
          operationId: 'getOwnBillingUsage',
          summary: 'What is used of the quota, as OpenAI told it',
          description: `${ABOUT}Of its present window, so that amount less usage is what is left, whatever dates are asked for. Parameters are ignored.`,
          ...refuses(),
        },
      },
    )
}

function balanceOf(limits: readonly LimitView[]) {
  const limit = shown(limits)
  if (!limit) return { amount: UNLIMITED_USD, used: limits[0]?.used ?? 0, unitsPerUsd: 1 }
  const unitsPerUsd = limit.unit === 'cost' ? MICROS : 1
  return { amount: presentAmount(limit) ?? UNLIMITED_USD, used: limit.used, unitsPerUsd }
}

/** The limit with the longest window: with a limit per minute, the balance would jump. */
function shown(limits: readonly LimitView[]): LimitView | undefined {
  const length = ({ windowS }: LimitView) => windowS ?? Number.MAX_SAFE_INTEGER
  for (const unit of UNITS) {
    const [longest] = limits
      .filter((limit) => limit.unit === unit && limit.amount !== null)
      .toSorted((a, b) => length(b) - length(a) || (a.remaining ?? 0) - (b.remaining ?? 0))
    if (longest) return longest
  }
  return undefined
}
