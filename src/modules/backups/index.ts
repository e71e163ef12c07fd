/** `/admin/backups`. */
import { Elysia, t } from 'elysia'
import { noQuery } from '../../http/fields/query.ts'
import { refuses } from '../../http/openapi/errors.ts'
import { adminGuard } from '../auth/index.ts'
import type { CheckToken } from '../auth/service.ts'
import { Backup, BackupList, showBackup, showOverview } from './model.ts'
import type { Backups } from './schedule.ts'

const noBody = t.Object({}, { additionalProperties: false, examples: [{}] })

export function backupsController(backups: Backups, check: CheckToken) {
  return new Elysia({
    name: 'backups',
    prefix: '/admin/backups',
    detail: { tags: ['Operations'] },
  })
    .use(adminGuard(check))
    .get('', async () => showOverview(await backups.overview()), {
      query: noQuery,
      response: { 200: BackupList },
      detail: {
        operationId: 'listBackups',
        summary: 'List backups, newest first, and how they go',
        description:
          'Every backup in BACKUP_DIR and in the storage of BACKUP_S3_URL, all on one page, and how the latest attempts went. What the storage has is known by name and size alone.',
        ...refuses(),
      },
    })
    .post(
      '',
      async ({ set }) => {
        const created = await backups.create()
        set.status = 201
        return showBackup(created)
      },
      {
        query: noQuery,
        body: noBody,
        response: { 201: Backup },
        detail: {
          operationId: 'createBackup',
          summary: 'Back up now',
          description:
            'Copies the database, packs the copy, restores what was packed, compares, and only then answers: seconds to minutes. It goes on if whoever asked does not wait. Calls are served meanwhile.',
          ...refuses('backup_running', 'backup_failed'),
        },
      },
    )
}
