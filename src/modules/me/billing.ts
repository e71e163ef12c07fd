/**
 * What clients made for OpenAI show as a balance: `total_usage` of `hard_limit_usd`, as its old dashboard told it. They
 * subtract one from the other whatever range they ask for, so both are of one limit in its present window and dates
 * change nothing. Such a client knows dollars only: without a limit of money a unit is shown as a dollar, so that the
 * digits on the screen are those of the quota.
 */
import { Elysia, t } from 'elysia'
import type { KeyRecord, LimitView } from '../../domain/key.ts'
import { type Authenticate, holderGuard } from '../../http/holder.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { presentAmount } from './show.ts'

const MICROS = 1_000_000
const CENTS = 100
/** What panels of this kind answer for no limit; they have no word for it. */
const UNLIMITED_USD = 100_000_000
/** The last second of the year 9999. A zero would be shown as 1970, long past. */
const NEVER_S = Date.UTC(10_000, 0) / 1000 - 1

/** Money is what is asked for; requests are what every key has. */
const UNITS = ['cost', 'requests', 'tokens'] as const

const Subscription = t.Object(
  {
    object: t.Literal('billing_subscription'),
    has_payment_method: t.Literal(true),
    soft_limit_usd: t.Number({ description: 'The same as `hard_limit_usd`.' }),
    hard_limit_usd: t.Number({ description: 'The amount; 100000000 is unlimited.' }),
    system_hard_limit_usd: t.Number({ description: 'The same as `hard_limit_usd`.' }),
    access_until: t.Number({
      description: 'When the key expires, in seconds since 1970; the end of the year 9999 is never.',
    }),
  },
  {
    title: 'BillingSubscription',
    examples: [
      {
        object: 'billing_subscription', has_payment_method: true,
        soft_limit_usd: 5, hard_limit_usd: 5, system_hard_limit_usd: 5, access_until: 1_798_675_200,
      },
    ],
  },
) // biome-ignore format: one answer

const Usage = t.Object(
  {
    object: t.Literal('list'),
    total_usage: t.Number({ description: 'What is used of the amount, in hundredths.' }),
  },
  { title: 'BillingUsage', examples: [{ object: 'list', total_usage: 129.5 }] },
)

const ignored = t.Optional(t.Unknown({ description: 'Taken, and changes nothing.' }))
/** Clients add parameters of their own to those that OpenAI had. */
const anyQuery = { additionalProperties: true }

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
        query: t.Object({}, anyQuery),
        response: { 200: Subscription },
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
        query: t.Object({ start_date: ignored, end_date: ignored }, anyQuery),
        response: { 200: Usage },
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

/** A balance is what the longest window has left: a limit per minute would make it jump. */
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
