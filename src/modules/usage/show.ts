/** What a key has used, as the admin API shows it. */
import type { KeyRecord } from '../../domain/key.ts'
import { NO_USAGE, type UsageTotals } from '../../domain/usage.ts'
import { showUsageSums } from '../../http/fields/usage-sums.ts'
import { show } from '../keys/show.ts'
import type { Usage } from './model.ts'

/** `totals` is absent for a key that has used nothing in the range. */
export function showUsage(record: KeyRecord, totals: UsageTotals | undefined, at: number): Usage {
  const { id, hint, name, status, quota, used, remaining, resets_at, expires_at, last_used_at } =
    show(record, at)
  return {
    id, hint, name, status: record.deletedAt === null ? status : 'deleted', quota, used, remaining, resets_at, expires_at, last_used_at,
    ...showUsageSums(totals ?? NO_USAGE),
  } // biome-ignore format: as the schema
}
