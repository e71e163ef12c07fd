/** `GET /me/calls/{id}`: a holder looks up what one of their calls cost, and why. Costs nothing. */
import { Elysia, t } from 'elysia'
import type { CallReader } from '../../domain/call.ts'
import { AppError } from '../../errors.ts'
import { noQuery } from '../../http/fields/query.ts'
import { type Authenticate, holderGuard } from '../../http/holder.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { find } from './index.ts'
import { Call, showCall } from './model.ts'

/** `callsFor` is given the id of the key that asks. */
export function ownCallsController(
  callsFor: (keyId: string) => CallReader,
  authenticate: Authenticate,
) {
  return new Elysia({ name: 'own-calls', detail: { tags: ['Own usage'] } })
    .use(holderGuard(authenticate))
    .get(
      '/me/calls/:id',
      async ({ params: { id }, key }) => {
        const entry = await find(callsFor(key.id), id)
        // Somebody else's call and none at all are told apart by nothing.
        if (!entry || entry.keyId !== key.id) {
          const message = 'This key has made no such call, or its entry has been pruned.'
          throw new AppError('call_not_found', message)
        }
        return showCall(entry)
      },
      {
        // What is no id names no call.
        params: t.Object({ id: t.String({ examples: ['call_258'] }) }),
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
}
