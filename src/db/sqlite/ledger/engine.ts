/** What the ledger needs of SQLite: each batch is one transaction, answered in the turn in which it is asked. */
import type { Database } from 'bun:sqlite'
import { NO_UNITS } from '../../../domain/limit.ts'
import type { LedgerEngine } from '../../ledger/engine.ts'
import type { InFlightUnits } from '../../ledger/in-flight-units.ts'
import { byKey, type ReserveJob, type SettleJob } from '../../ledger/jobs.ts'
import { type Check, failureOf, transact } from '../transact.ts'
import { createMoveBuckets } from './buckets.ts'
import { createCharger } from './charge.ts'
import { createEntries } from './entries.ts'

export function createSqliteLedger(
  client: Database,
  check: Check,
  held: InFlightUnits,
): LedgerEngine {
  const entries = createEntries(client)
  const charger = createCharger(client, entries, held.of)
  const moveBuckets = createMoveBuckets(client)

  function settle(job: SettleJob): void {
    const { hold: ended, settlement } = job
    if (entries.close(ended.seq)) {
      entries.write(ended, settlement)
      job.answer = charger.correct(ended, settlement.charged)
    } else {
      job.answer = ended.balances
    }
    held.remove(ended)
  }

  function reserve(group: readonly ReserveJob[]): void {
    const together = charger.chargeTogether(group.map(({ claim }) => claim))
    group.forEach((job, i) => {
      job.answer = together?.[i] ?? charger.chargeAlone(job.claim)
      if (job.answer.ok) held.add(job.answer.hold)
    })
  }

  function write(work: () => void): void {
    try {
      transact(client, check, work)
    } catch (error) {
      charger.forget()
      throw error
    }
  }

  return {
    write: ({ jobs, step }) =>
      write(() => {
        if (step) moveBuckets(step)
        for (const job of jobs) if (job.kind === 'settle') settle(job)
        for (const group of byKey(jobs)) reserve(group)
      }),

    // To read alone would not notice a full disk.
    tryOut: (claim) =>
      write(() => {
        const reservation = claim && charger.chargeAlone(claim)
        if (!reservation?.ok) return
        entries.close(reservation.hold.seq)
        charger.correct(reservation.hold, NO_UNITS)
      }),

    foresee(claim) {
      try {
        return charger.refusalOf(claim)
      } catch (error) {
        throw failureOf(error)
      }
    },
  }
}
