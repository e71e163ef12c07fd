/** `/admin/upstreams`. */
import { Elysia } from 'elysia'
import { noQuery } from '../../http/fields/query.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { wholeList } from '../../http/pagination.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import {
  CreateUpstream,
  DeletedUpstream,
  params,
  UpdateUpstream,
  Upstream,
  UpstreamList,
} from './model.ts'
import type { UpstreamService } from './service.ts'

export function upstreamsController(upstreams: UpstreamService, check: CheckToken) {
  const detail = { tags: ['Upstreams'] }
  return new Elysia({ name: 'upstreams', prefix: '/admin/upstreams', detail })
    .use(adminGuard(check))
    .post(
      '',
      ({ body, set }) => {
        set.status = 201
        return upstreams.create(body)
      },
      ROUTES.create,
    )
    .get('', () => wholeList(upstreams.list()), ROUTES.list)
    .get('/:name', ({ params: { name } }) => upstreams.get(name), ROUTES.get)
    .patch('/:name', ({ params: { name }, body }) => upstreams.update(name, body), ROUTES.update)
    .delete('/:name', ({ params: { name } }) => upstreams.remove(name), ROUTES.remove)
}

/** What each route takes and answers, and how the API document describes it. */
const ROUTES = {
  create: {
    query: noQuery,
    body: CreateUpstream,
    response: { 201: Upstream },
    detail: {
      operationId: 'createUpstream',
      summary: 'Add an upstream',
      description:
        'Calls reach it from this answer on: under `/u/{name}`, under its mount, and as an endpoint under its base URL. Its secret is stored sealed and never shown.',
      ...refuses('upstream_already_exists', 'mount_taken'),
    },
  },
  list: {
    query: noQuery,
    response: { 200: UpstreamList },
    detail: {
      operationId: 'listUpstreams',
      summary: 'List upstreams by name',
      description: 'All of them at once, the one of the environment and disabled ones included.',
      ...refuses(),
    },
  },
  get: {
    params,
    query: noQuery,
    response: { 200: Upstream },
    detail: {
      operationId: 'getUpstream',
      summary: 'Show an upstream',
      description: 'Everything but its secret.',
      ...refuses('upstream_not_found'),
    },
  },
  update: {
    params,
    query: noQuery,
    body: UpdateUpstream,
    response: { 200: Upstream },
    detail: {
      operationId: 'updateUpstream',
      summary: 'Change an upstream',
      description:
        'Changes what is given and leaves the rest, within `credential` and `timeouts` too; lists and other objects are replaced. Calls from this answer on go by it; those in flight end as they began.',
      ...refuses('upstream_not_found', 'mount_taken', 'upstream_read_only'),
    },
  },
  remove: {
    params,
    query: noQuery,
    response: { 200: DeletedUpstream },
    detail: {
      operationId: 'deleteUpstream',
      summary: 'Delete an upstream',
      description:
        'From this answer on no call is taken for it, and its secret is gone. Its entries in the ledger stay, with the prices that they were reckoned by.',
      ...refuses('upstream_not_found', 'upstream_read_only'),
    },
  },
}
