/** `/admin/keys`. */
import { Elysia, t } from 'elysia'
import { noQuery } from '../../http/fields/query.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { pageQuery, readPage } from '../../http/pagination.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import { AdjustmentList, CreditKey, ResetKey } from './adjustments.ts'
import {
  CreatedKey,
  CreateKey,
  DeletedKey,
  Key,
  KeyList,
  listQuery,
  params,
  RotateKey,
  UpdateKey,
} from './model.ts'
import type { KeyQueries } from './queries.ts'
import type { Keys } from './service.ts'

export function keysController(keys: Keys, queries: KeyQueries, check: CheckToken) {
  return new Elysia({ name: 'keys', prefix: '/admin/keys', detail: { tags: ['Keys'] } })
    .use(adminGuard(check))
    .post(
      '',
      ({ body, set }) => {
        set.status = 201
        return keys.create(body)
      },
      ROUTES.create,
    )
    .get(
      '',
      ({ query }) => {
        const { status, tag, q } = query
        const filter = { ...(status && { status }), ...(tag && { tag }), ...(q && { q }) }
        return queries.list(filter, readPage(query))
      },
      ROUTES.list,
    )
    .get('/:key', ({ params: { key } }) => queries.get(key), ROUTES.get)
    .patch('/:key', ({ params: { key }, body }) => keys.update(key, body), ROUTES.update)
    .delete('/:key', ({ params: { key } }) => keys.remove(key), ROUTES.remove)
    .post('/:key/reset', ({ params: { key }, body }) => keys.reset(key, body.quota), ROUTES.reset)
    .post(
      '/:key/rotate',
      ({ params: { key }, body }) => keys.rotate(key, body.grace_seconds),
      ROUTES.rotate,
    )
    .post('/:key/credit', ({ params: { key }, body }) => keys.credit(key, body), ROUTES.credit)
    .get(
      '/:key/adjustments',
      ({ params: { key }, query }) => queries.adjustments(key, readPage(query)),
      ROUTES.adjustments,
    )
}

/** What each route takes and answers, and how the API document describes it. */
const ROUTES = {
  create: {
    query: noQuery,
    body: CreateKey,
    response: { 201: CreatedKey },
    detail: {
      operationId: 'createKey',
      summary: 'Issue a key',
      description: 'The answer holds the secret; it is shown this once and stored as a hash only.',
      ...refuses('key_already_exists'),
    },
  },
  list: {
    query: listQuery,
    response: { 200: KeyList },
    detail: {
      operationId: 'listKeys',
      summary: 'List keys, newest first',
      description: 'Secrets are never shown again; a key is known by its id and its hint.',
      ...refuses('rate_limit_exceeded'),
    },
  },
  get: {
    params,
    query: noQuery,
    response: { 200: Key },
    detail: {
      operationId: 'getKey',
      summary: 'Show a key',
      description: 'With what every limit has granted in its present window.',
      ...refuses('key_not_found', 'rate_limit_exceeded'),
    },
  },
  update: {
    params,
    query: noQuery,
    body: UpdateKey,
    response: { 200: Key },
    detail: {
      operationId: 'updateKey',
      summary: 'Change a key',
      description:
        'Changes what is given and leaves the rest. A new amount counts at once and keeps what was used; a new window or time zone starts afresh. `limits` replaces the whole list.',
      ...refuses('key_not_found'),
    },
  },
  remove: {
    params,
    query: noQuery,
    response: { 200: DeletedKey },
    detail: {
      operationId: 'deleteKey',
      summary: 'Delete a key',
      description: 'From this answer on no call with it succeeds. What it used stays in the books.',
      ...refuses('key_not_found'),
    },
  },
  reset: {
    params,
    query: noQuery,
    body: ResetKey,
    response: { 200: Key },
    detail: {
      operationId: 'resetKey',
      summary: 'Start the quota afresh',
      description:
        'Every limit starts at nothing used. With `quota`, the main amount is changed too. Calls still in flight count to what was before.',
      ...refuses('key_not_found'),
    },
  },
  rotate: {
    params,
    query: noQuery,
    body: RotateKey,
    response: { 200: CreatedKey },
    detail: {
      operationId: 'rotateKey',
      summary: 'Give a key a new secret',
      description:
        'The answer holds the new secret; it is shown this once. Id, limits and what was used stay. From this answer on no call succeeds with the secret of before, or from the end of its grace; rotating again ends a grace at once.',
      ...refuses('key_not_found'),
    },
  },
  credit: {
    params,
    query: noQuery,
    body: CreditKey,
    response: { 200: Key },
    detail: {
      operationId: 'creditKey',
      summary: 'Add or take units',
      description:
        'Changes how much the present period holds, and nothing else: what was used stays, the next period begins with the plain amount, a reset forgets it.',
      ...refuses('key_not_found'),
    },
  },
  adjustments: {
    params,
    query: t.Object(pageQuery, { additionalProperties: false }),
    response: { 200: AdjustmentList },
    detail: {
      operationId: 'listAdjustments',
      summary: 'List credits and resets, newest first',
      description:
        'What was done to the limits of a key by hand, with its reason. A reset has one entry for each limit that it started afresh. Entries are never pruned.',
      ...refuses('key_not_found', 'rate_limit_exceeded'),
    },
  },
}
