/**
 * `/me`: key holders ask about their own key, and about no other. It costs nothing, and it answers
 * when the quota is used up. It refuses a key that may not be used as a call would, which tells its
 * holder why calls fail.
 */
import { Elysia } from 'elysia'
import { type CallEntry, type CallReader, seqOf } from '../../domain/call.ts'
import type { ReadsFor } from '../../domain/store.ts'
import { AppError } from '../../errors.ts'
import { noQuery, refuseRepeated } from '../../http/fields/query.ts'
import { type Authenticate, holderGuard } from '../../http/holder.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { wholeList } from '../../http/pagination.ts'
import type { Clock } from '../../lib/clock.ts'
import { Call } from '../calls/model.ts'
import { showCall } from '../calls/show.ts'
import { createKeyQueries } from '../keys/queries.ts'
import { billingController } from './billing.ts'
import { callParams, Me, OwnUsageList, usageQuery } from './model.ts'
import { listUsage } from './service.ts'
import { showOwn } from './show.ts'

export function meController(
  reads: ReadsFor,
  authenticate: Authenticate,
  clock: Clock,
  currency: () => string,
) {
  const findOwn = (id: string) => createKeyQueries(reads(id).keys, clock).find(id)
  return new Elysia({ name: 'me', detail: { tags: ['Own usage'] } })
    .use(holderGuard(authenticate))
    .get('/me', async ({ key }) => showOwn(await findOwn(key.id), clock(), currency()), {
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
      async ({ key, query, request }) => {
        refuseRepeated(request)
        return wholeList(await listUsage(reads(key.id).usage, key.seq, query, clock()))
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
    .get(
      '/me/calls/:id',
      async ({ params: { id }, key }) => showCall(await findCall(reads(key.id).calls, id, key.id)),
      {
        params: callParams,
        query: noQuery,
        response: { 200: Call },
        detail: {
          operationId: 'getOwnCall',
          summary: 'What did this call cost, and why?',
          description:
            'The ledger entry behind the `X-Quota-Charge-Id` of an answer, for the key that made the call. Costs nothing.',
          ...refuses('call_not_found', 'invalid_request'),
        },
      },
    )
    .use(billingController(findOwn, authenticate))
}

/** Throws `call_not_found`. Nothing tells a call of somebody else from one that never was. */
async function findCall(calls: CallReader, id: string, keyId: string): Promise<CallEntry> {
  const seq = seqOf(id)
  const entry = seq === null ? null : await calls.find(seq)
  if (entry?.keyId === keyId) return entry
  const message = 'This key has made no such call, or its entry has been pruned.'
  throw new AppError('call_not_found', message)
}
