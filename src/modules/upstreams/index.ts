/** `/admin/upstreams`. */
import { Elysia, t } from 'elysia'
import { noQuery } from '../../http/fields/query.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import { DeletedUpstream, Upstream, UpstreamList } from './answers.ts'
import { CreateUpstream, UpdateUpstream } from './model.ts'
import type { UpstreamService } from './service.ts'

// Any text: one that cannot be a name is the name of nothing.
const params = t.Object({
  name: t.String({ minLength: 1, description: 'The name of an upstream.', examples: ['openai'] }),
})

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
      {
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
    )
    .get('', () => upstreams.list(), {
      query: noQuery,
      response: { 200: UpstreamList },
      detail: {
        operationId: 'listUpstreams',
        summary: 'List upstreams by name',
        description: 'All of them at once, the one of the environment and disabled ones included.',
        ...refuses(),
      },
    })
    .get('/:name', ({ params: { name } }) => upstreams.get(name), {
      params,
      query: noQuery,
      response: { 200: Upstream },
      detail: {
        operationId: 'getUpstream',
        summary: 'Show an upstream',
        description: 'Everything but its secret.',
        ...refuses('upstream_not_found'),
      },
    })
    .patch('/:name', ({ params: { name }, body }) => upstreams.update(name, body), {
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
    })
    .delete('/:name', ({ params: { name } }) => upstreams.remove(name), {
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
    })
}
