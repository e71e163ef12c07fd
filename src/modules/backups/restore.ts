/**
 * Makes a backup the database. Until the last step everything happens to a file of its own, which
 * must have been read to its end before it replaces the database. No server may run meanwhile.
 */
import type { BackupEngine, BackupSettings, Replaced, Sums } from '../../domain/backup.ts'
import { syncPath } from '../../lib/process/sync-path.ts'
import { UNWATCHED, type Watch } from '../../lib/watch.ts'
import { restoreTo, withBackup } from './check.ts'

export type Prepared = {
  /** The instant that the backup shows; null if it has no manifest. */
  readonly createdAt: string | null
  /** Counts in the present database; null if there is none, or it cannot be read. */
  readonly before: Pick<Sums, 'keys' | 'calls'> | null
  /** Null if it could only be read, and has no manifest. */
  readonly after: Sums | null
}

/** Null if `decide` said no. */
export type Restored = Prepared & { readonly replaced: Replaced | null }

/**
 * `decide` gets what would change and says whether to go on. Throws an Error with a sentence if the
 * backup cannot be restored.
 */
export async function restore(
  settings: BackupSettings,
  engine: BackupEngine,
  what: { readonly reference: string; readonly identities: readonly string[]; readonly at: number },
  decide: (prepared: Prepared) => Promise<boolean>,
  watch: Watch = UNWATCHED,
): Promise<Restored> {
  const lock = await engine.lockDatabase()
  const file = engine.stagingPath
  try {
    // An interrupted restore may have left one.
    engine.remove(file)
    const prepared = await withBackup(settings, engine, what.reference, async (candidate) => {
      const restored = await restoreTo(engine, candidate, file, what.identities, watch)
      if (!restored.ok) throw new Error(`The backup cannot be restored. ${restored.problem}`)
      const createdAt = candidate.manifest?.created_at ?? null
      return { createdAt, before: await engine.counts(), after: restored.sums }
    })
    if (!(await decide(prepared))) return { ...prepared, replaced: null }
    syncPath(file)
    return { ...prepared, replaced: await engine.replace(file, what.at) }
  } finally {
    engine.remove(file)
    lock.release()
  }
}
