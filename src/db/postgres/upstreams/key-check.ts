/**
 * All replicas must have the same secret key: what one has sealed, the others must open. A known text in the database, sealed
 * by whoever came first, tells whether they have.
 */
import { sql } from 'drizzle-orm'
import { AppError } from '../../../errors.ts'
import type { Sealer } from '../../../lib/seal.ts'
import { installation } from '../schema.ts'
import type { Read, Tx } from '../transact.ts'

/** Place of the sealed text: moved elsewhere, it would not be opened. */
const KEY_CHECK = 'installation.key_check'
const TEXT = 'quota-proxy'

/** Rejects with an AppError if the database was sealed with another key. */
export async function checkSecretKey(read: Read, sealer: Sealer): Promise<void> {
  await read(async (tx) => {
    await tx.insert(installation).values({ id: 1 }).onConflictDoNothing()
    let sealed = await keyCheckOf(tx)
    if (sealed === null) {
      const { keyCheck } = installation
      // Of two replicas that come first at once, one is later.
      const first = sql`coalesce(${keyCheck}, ${sealer.seal(TEXT, KEY_CHECK)})`
      await tx.update(installation).set({ keyCheck: first })
      sealed = await keyCheckOf(tx)
    }
    if (sealed !== null && !sealer.open(sealed, KEY_CHECK).ok) throw otherKey()
  })
}

/** For when all secrets are sealed anew. Rejects if the database was sealed with another key, unless that may be lost. */
export async function resealKeyCheck(tx: Tx, sealer: Sealer, mayBeLost: boolean): Promise<void> {
  const sealed = await keyCheckOf(tx)
  if (sealed !== null && !mayBeLost && !sealer.open(sealed, KEY_CHECK).ok) throw otherKey()
  await tx.update(installation).set({ keyCheck: sealer.seal(TEXT, KEY_CHECK) })
}

async function keyCheckOf(tx: Tx): Promise<string | null> {
  const [row] = await tx.select({ sealed: installation.keyCheck }).from(installation)
  return row?.sealed ?? null
}

function otherKey(): AppError {
  return new AppError(
    'storage_unavailable',
    'This database belongs to an installation with another secret key. Give every replica the same SECRET_KEY (or SECRET_KEY_FILE), or use another database.',
  )
}
