/**
 * `/me`: what a key holder may ask about their own key, and about no other. Costs nothing, and answers when nothing is
 * left. A key that may not be used is refused here as it is on a call: that is the answer to the question why.
 */
import { Elysia } from 'elysia'
import type { ReadsFor } from '../../domain/reads.ts'
import { noQuery, refuseRepeated } from '../../http/fields/query.ts'
import { type Authenticate, holderGuard } from '../../http/holder.ts'
import { refuses } from '../../http/openapi/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { createKeyQueries } from '../keys/queries.ts'
import { billingController } from './billing.ts'
import { Me, OwnUsageList } from './model.ts'
import { showOwn } from './show.ts'
import { listUsage, usageQuery } from './usage.ts'

export function meController(reads: ReadsFor, authenticate: Authenticate, clock: Clock) {
  const findOwn = (id: string) => createKeyQueries(reads(id).keys, clock).find(id)
  return new Elysia({ name: 'me', detail: { tags: ['Own usage'] } })
    .use(holderGuard(authenticate))
    .get('/me', async ({ key }) => showOwn(await findOwn(key.id), clock()), {
      query: noQuery,
      response: { 200: Me },
      detail: {
        operationId: 'getMe',
        summary: 'What is left, and what may this key do?',
        description:
          'The key that asks, as it is now: every limit with what is left of it and when it starts anew, and what the key is restricted to. Costs nothing, and answers when the quota is used up.',
        ...refuses('invalid_request'),
      },
    })
    .get(
      '/me/usage',
      ({ key, query, request }) => {
        refuseRepeated(request)
        return listUsage(reads(key.id).usage, key.seq, query, clock())
      },
      {
        query: usageQuery,
        response: { 200: OwnUsageList },
        detail: {
          operationId: 'getOwnUsage',
          summary: 'What has this key used?',
          description:
            'Sums of the calls that have ended, by hours or days of UTC, the oldest first. An hour or a day without calls is left out. With `group_by=total` there is one sum, and what each upstream has of it. Costs nothing.',
          ...refuses('invalid_request'),
        },
      },
    )
    .use(billingController(findOwn, authenticate))
}
