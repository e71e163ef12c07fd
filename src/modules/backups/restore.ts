/**
 * Makes a backup the database. Everything that can go wrong goes wrong beside the database, which is only replaced by a
 * file that has been read to its end. Nobody may serve it meanwhile.
 */
import type { Config } from '../../config/options.ts'
import type { BackupEngine, Replaced, Sums } from '../../domain/backup.ts'
import { syncPath } from '../../lib/process/sync-path.ts'
import { withBackup } from './vault.ts'
import { restoreTo } from './verify.ts'

export type Prepared = {
  /** The instant that the backup shows; null if nothing says it. */
  readonly createdAt: string | null
  /** What is in the database now; null if there is none, or it cannot be read. */
  readonly before: Pick<Sums, 'keys' | 'calls'> | null
  readonly after: Sums
}

/** Null if whoever was asked has said no, or nothing was to be changed. */
export type Restored = Prepared & { readonly replaced: Replaced | null }

/** `decide` is told what would change, and says whether it shall. Throws an Error with a sentence if it cannot be done. */
export async function restore(
  config: Config,
  engine: BackupEngine,
  what: { readonly reference: string; readonly identities: readonly string[]; readonly at: number },
  decide: (prepared: Prepared) => Promise<boolean>,
): Promise<Restored> {
  const lock = engine.lockDatabase()
  const file = engine.beside
  try {
    // Left by a restore that was cut off.
    engine.discard(file)
    const prepared = await withBackup(config, engine, what.reference, async (candidate) => {
      const restored = await restoreTo(engine, candidate, file, what.identities)
      if (!restored.ok) throw new Error(`The backup cannot be restored. ${restored.problem}`)
      const createdAt = candidate.manifest?.created_at ?? null
      return { createdAt, before: engine.glance(), after: restored.sums }
    })
    if (!(await decide(prepared))) return { ...prepared, replaced: null }
    syncPath(file)
    return { ...prepared, replaced: engine.replace(file, what.at) }
  } finally {
    engine.discard(file)
    lock.release()
  }
}
