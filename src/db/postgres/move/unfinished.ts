/**
 * The mark of a copy that is not whole, in the target: a table of its own, which is there while "migrate-data" is at work or was
 * cut off, and goes with its end. No server may serve such a database.
 */
import { AppError } from '../../../errors.ts'
import type { Pool } from '../connection.ts'

export const UNFINISHED = 'unfinished_move'

/** For a server, once its replica is entered: a move that begins looks for replicas, and finds it. */
export async function refuseUnfinished(pool: Pool): Promise<void> {
  const [found] = await pool.query<{ there: boolean }>(
    `SELECT to_regclass('${UNFINISHED}') IS NOT NULL AS there`,
  )
  if (found?.there !== true) return
  throw new AppError(
    'storage_unavailable',
    'This database holds a copy that is not finished. Run "quota-proxy migrate-data" again as before, which finishes it, or use another database.',
  )
}
