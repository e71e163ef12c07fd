/** What the ledger needs of SQLite: each batch is one transaction, answered in the turn in which it is asked. */
import type { Database } from 'bun:sqlite'
import { NO_UNITS, type Units } from '../../../domain/limit.ts'
import type { Claim } from '../../../quota/ledger.ts'
import type { LedgerEngine } from '../../ledger/engine.ts'
import type { InFlightUnits } from '../../ledger/in-flight-units.ts'
import { byKey, type Job, type SettleJob } from '../../ledger/jobs.ts'
import {
  addCorrection,
  addToRollups,
  balancesAfter,
  type Corrections,
  createModelNames,
  type ModelNames,
  type Rollups,
} from '../../ledger/settle.ts'
import { type Check, failureOf, transact } from '../transact.ts'
import { createMoveBuckets } from './buckets.ts'
import { type Charger, createCharger } from './charge.ts'
import { type ChargedObjects, createChargedObjects } from './charged-objects.ts'
import { createEntries, type Entries } from './entries.ts'
import { createRecorder, type Recorder } from './record.ts'

type Own = {
  readonly entries: Entries
  readonly charger: Charger
  readonly recorder: Recorder
  readonly objects: ChargedObjects
  readonly held: InFlightUnits
  readonly models: ModelNames
}

export function createSqliteLedger(
  client: Database,
  check: Check,
  held: InFlightUnits,
): LedgerEngine {
  const entries = createEntries(client)
  const charger = createCharger(client, entries, held.of)
  const recorder = createRecorder(client, entries, held.of)
  const objects = createChargedObjects(client)
  const own: Own = { entries, charger, recorder, objects, held, models: createModelNames() }
  const moveBuckets = createMoveBuckets(client)

  function write(work: () => void): void {
    try {
      transact(client, check, work)
    } catch (error) {
      charger.forget()
      entries.forget()
      throw error
    }
  }

  return {
    write: ({ jobs, step }) =>
      write(() => {
        if (step) moveBuckets(step)
        settleAll(own, jobs)
        recordAll(own, jobs)
        reserveAll(own, jobs)
      }),

    tryOut: (claim) => write(() => claim && chargeInVain(own, claim)),

    foresee(claim) {
      try {
        return charger.refusalOf(claim)
      } catch (error) {
        throw failureOf(error)
      }
    },

    isCharged: objects.has,
  }
}

function settleAll({ entries, charger, objects, held, models }: Own, jobs: readonly Job[]): void {
  const rollups: Rollups = new Map()
  const corrections: Corrections = new Map()
  const settled: { readonly job: SettleJob; readonly charged: Units }[] = []
  for (const job of jobs) {
    if (job.kind !== 'settle') continue
    const { hold } = job
    job.answer = hold.balances
    held.remove(hold)
    if (!entries.close(hold.seq)) continue
    const settlement = objects.chargeOnce(hold, job.settlement)
    entries.write(hold, settlement)
    addToRollups(rollups, models, hold, settlement)
    addCorrection(corrections, hold, settlement.charged)
    settled.push({ job, charged: settlement.charged })
  }
  entries.rollUp(rollups.values())
  if (corrections.size === 0) return
  const used = charger.correct(corrections)
  for (const { job, charged } of settled) job.answer = balancesAfter(job.hold, charged, used)
}

/** Each is an entry of its own, which was never a hold. */
function recordAll({ entries, recorder, models }: Own, jobs: readonly Job[]): void {
  const rollups: Rollups = new Map()
  for (const job of jobs) {
    if (job.kind !== 'record') continue
    const { hold, refusal } = recorder.charge(job.claim)
    entries.write(hold, job.settlement)
    addToRollups(rollups, models, hold, job.settlement)
    job.answer = refusal
  }
  entries.rollUp(rollups.values())
}

function reserveAll({ charger, held }: Own, jobs: readonly Job[]): void {
  for (const group of byKey(jobs)) {
    const together = charger.chargeTogether(group.map(({ claim }) => claim))
    group.forEach((job, i) => {
      job.answer = together?.[i] ?? charger.chargeAlone(job.claim)
      if (job.answer.ok) held.add(job.answer.hold)
    })
  }
}

/** To read alone would not notice a full disk. */
function chargeInVain({ entries, charger }: Own, claim: Claim): void {
  const reservation = charger.chargeAlone(claim)
  if (!reservation.ok) return
  const { hold } = reservation
  const corrections: Corrections = new Map()
  addCorrection(corrections, hold, NO_UNITS)
  entries.close(hold.seq)
  charger.correct(corrections)
}
