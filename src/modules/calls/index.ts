/** `/admin/calls` for the operator, `/me/calls/{id}` for the holder of the key that made the call. */
import { Elysia, t } from 'elysia'
import type { CallEntry, CallReader } from '../../domain/call.ts'
import { CHARGE_ID, seqOf } from '../../domain/charge-id.ts'
import { AppError } from '../../errors.ts'
import { keyReference } from '../../http/fields/key-reference.ts'
import { noQuery } from '../../http/fields/query.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { listOf, pageQuery, readPage, showPage } from '../../http/pagination.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import { Call, showCall } from './model.ts'

const params = t.Object({
  id: t.String({
    pattern: CHARGE_ID.source,
    error: 'must be the X-Quota-Charge-Id of an answer, such as call_258',
    examples: ['call_258'],
  }),
})

const query = t.Object(
  {
    ...pageQuery,
    key: t.Optional(
      keyReference({ description: 'Only calls of this key: its id or the whole key.' }),
    ),
  },
  { additionalProperties: false },
)

/** `keySeqOf` throws `key_not_found`. */
export function callsController(
  calls: CallReader,
  keySeqOf: (idOrKey: string) => Promise<number>,
  check: CheckToken,
) {
  return new Elysia({ name: 'calls', prefix: '/admin/calls', detail: { tags: ['Usage'] } })
    .use(adminGuard(check))
    .get(
      '',
      async ({ query }) => {
        const keySeq = query.key === undefined ? undefined : await keySeqOf(query.key)
        const page = await calls.list(keySeq, readPage(query))
        return showPage(page.calls, page.more, showCall)
      },
      {
        query,
        response: { 200: listOf(Call, Call.examples) },
        detail: {
          operationId: 'listCalls',
          summary: 'List calls, newest first',
          description:
            'The ledger: one entry per call that was let through, written when it ends and kept as long as CALLS_RETENTION_DAYS says.',
          ...refuses('key_not_found', 'rate_limit_exceeded'),
        },
      },
    )
    .get('/:id', async ({ params: { id } }) => showCall(must(await find(calls, id))), {
      params,
      query: noQuery,
      response: { 200: Call },
      detail: {
        operationId: 'getCall',
        summary: 'Show a call',
        description: 'The ledger entry behind an `X-Quota-Charge-Id`.',
        ...refuses('call_not_found', 'rate_limit_exceeded'),
      },
    })
}

/** Null also for an id that can name no call. */
export async function find(calls: CallReader, id: string): Promise<CallEntry | null> {
  const seq = seqOf(id)
  return seq === null ? null : await calls.find(seq)
}

function must(entry: CallEntry | null): CallEntry {
  if (entry) return entry
  throw new AppError(
    'call_not_found',
    'There is no such call. It may have been pruned: see CALLS_RETENTION_DAYS.',
  )
}
