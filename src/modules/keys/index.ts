/** `/admin/keys`. */
import { Elysia, t } from 'elysia'
import { pageQuery } from '../../http/pagination.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import { CreatedKey, CreateKey, DeletedKey, Key, KeyList, ResetKey, UpdateKey } from './model.ts'
import type { Keys } from './service.ts'

const params = t.Object({
  key: t.String({
    minLength: 1,
    maxLength: 255,
    description: 'The id (`key_…`) or the whole key.',
    examples: ['key_4hXcQ0m2VtYb7LrKp9Zs'],
  }),
})

const listQuery = t.Object(
  {
    ...pageQuery,
    status: t.Optional(
      t.Union([t.Literal('active'), t.Literal('disabled'), t.Literal('expired')], {
        error: 'must be active, disabled or expired',
      }),
    ),
    tag: t.Optional(t.String({ minLength: 1, maxLength: 64 })),
    q: t.Optional(
      t.String({ minLength: 1, maxLength: 200, description: 'Part of the name, or the id.' }),
    ),
  },
  { additionalProperties: false },
)

export function keysController(keys: Keys, check: CheckToken) {
  return new Elysia({ name: 'keys', prefix: '/admin/keys', detail: { tags: ['Keys'] } })
    .use(adminGuard(check))
    .post(
      '',
      ({ body, set }) => {
        set.status = 201
        set.headers['cache-control'] = 'no-store'
        return keys.create(body)
      },
      {
        body: CreateKey,
        response: { 201: CreatedKey },
        detail: {
          operationId: 'createKey',
          summary: 'Issue a key',
          description:
            'The answer holds the secret; it is shown this once and stored as a hash only.',
        },
      },
    )
    .get(
      '',
      ({ query: { limit = 50, after, status, tag, q } }) => {
        const filter = { ...(status && { status }), ...(tag && { tag }), ...(q && { q }) }
        const { data, next } = keys.list(
          filter,
          limit,
          after === undefined ? undefined : Number(after),
        )
        return { object: 'list' as const, data, has_more: next !== null, next }
      },
      {
        query: listQuery,
        response: { 200: KeyList },
        detail: {
          operationId: 'listKeys',
          summary: 'List keys, newest first',
          description: 'Secrets are never shown again; a key is known by its id and its hint.',
        },
      },
    )
    .get('/:key', ({ params: { key } }) => keys.get(key), {
      params,
      response: { 200: Key },
      detail: {
        operationId: 'getKey',
        summary: 'Show a key',
        description: 'With what every limit has granted in its present window.',
      },
    })
    .patch('/:key', ({ params: { key }, body }) => keys.update(key, body), {
      params,
      body: UpdateKey,
      response: { 200: Key },
      detail: {
        operationId: 'updateKey',
        summary: 'Change a key',
        description:
          'Changes what is given and leaves the rest. A new amount counts at once and keeps what was used; a new window or time zone starts afresh. `limits` replaces the whole list.',
      },
    })
    .delete('/:key', ({ params: { key } }) => keys.remove(key), {
      params,
      response: { 200: DeletedKey },
      detail: {
        operationId: 'deleteKey',
        summary: 'Delete a key',
        description:
          'From this answer on no call with it succeeds. What it used stays in the books.',
      },
    })
    .post('/:key/reset', ({ params: { key }, body }) => keys.reset(key, body.quota), {
      params,
      body: ResetKey,
      response: { 200: Key },
      detail: {
        operationId: 'resetKey',
        summary: 'Start the quota afresh',
        description:
          'Every limit starts at nothing used. With `quota`, the main amount is changed too. Calls still in flight count to what was before.',
      },
    })
}
