/** `GET /admin/replicas`. */
import { Elysia } from 'elysia'
import type { Replicas } from '../../domain/store.ts'
import { noQuery } from '../../http/fields/query.ts'
import { refuses } from '../../http/openapi/errors.ts'
import type { Clock } from '../../lib/clock.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import { ReplicaList, showReplicas } from './model.ts'

export function replicasController(replicas: Replicas, check: CheckToken, clock: Clock) {
  return new Elysia({ name: 'replicas', detail: { tags: ['Operations'] } })
    .use(adminGuard(check))
    .get('/admin/replicas', async () => showReplicas(await replicas.view(clock())), {
      query: noQuery,
      response: { 200: ReplicaList },
      detail: {
        operationId: 'listReplicas',
        summary: 'List who serves the database, and what it is',
        description:
          'Every process that serves the database, and those that ended within the last day, all on one page; the database itself beside them. On SQLite there is one process.',
        ...refuses(),
      },
    })
}
