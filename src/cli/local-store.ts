/** The database of some settings, opened as the server opens it, for as long as one command. */
import type { Config } from '../config/options.ts'
import type { Store, StoreOptions } from '../db/open.ts'
import { systemClock } from '../lib/clock.ts'
import { createSealer, type Keys } from '../lib/seal.ts'

/** Throws `StoreInUse` if a server or another command has it. The caller closes it. */
export async function openLocal(
  config: Config,
  secretKeys: Keys,
  more: Pick<StoreOptions, 'isResealing'> = {},
): Promise<Store> {
  // Loaded here so that the other commands start without the database.
  const { openStore } = await import('../db/open.ts')
  const { databaseUrl: url, durability, callsRetentionDays, callsMax, usageRetentionDays } = config
  return openStore(
    {
      url,
      durability,
      retention: () => ({ callsDays: callsRetentionDays, callsMax, usageDays: usageRetentionDays }),
      events: { onFailure() {}, onRecovery() {}, onRejected() {} },
      sealer: createSealer(secretKeys),
      ...more,
    },
    systemClock(),
  )
}
