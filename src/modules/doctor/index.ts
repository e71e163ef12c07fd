/** `GET /admin/doctor`. */
import { Elysia } from 'elysia'
import type { Examination as Found } from '../../domain/store.ts'
import { noQuery } from '../../http/fields/query.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import { Examination } from './model.ts'

export function doctorController(examine: () => Promise<Found>, check: CheckToken) {
  return new Elysia({ name: 'doctor', detail: { tags: ['Operations'] } })
    .use(adminGuard(check))
    .get(
      '/admin/doctor',
      async () => {
        const { ok, findings } = await examine()
        return { ok, findings: [...findings] }
      },
      {
        query: noQuery,
        response: { 200: Examination },
        detail: {
          operationId: 'examine',
          summary: 'Examine the database',
          description:
            'Do the books balance for every key and window, are there holds that should not be, is the file whole, is there room? Reads everything, in a process of its own; on millions of calls it takes its time.',
          ...refuses(),
        },
      },
    )
}
