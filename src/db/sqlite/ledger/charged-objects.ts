/**
 * Objects of upstreams whose work was charged, such as background responses, which report it each time that they are read.
 * An object is noted in the transaction that charges it, so that it is charged once, whoever reads it how often.
 */
import type { Database } from 'bun:sqlite'
import type { Hold, Settlement } from '../../../quota/ledger.ts'
import { failureOf } from '../transact.ts'

export type ChargedObjects = {
  has(upstream: string, object: string): boolean
  /** The settlement as it is to be written: without tokens and cost if its object was charged before. */
  chargeOnce(hold: Hold, settlement: Settlement): Settlement
}

export function createChargedObjects(client: Database): ChargedObjects {
  const find = client.query<unknown, [string, string]>(
    'SELECT 1 FROM charged_objects WHERE upstream = ? AND object = ?',
  )
  const note = client.query(
    'INSERT OR IGNORE INTO charged_objects (upstream, object, at) VALUES (?, ?, ?)',
  )
  return {
    has(upstream, object) {
      try {
        return find.get(upstream, object) !== null
      } catch (error) {
        throw failureOf(error)
      }
    },
    chargeOnce({ claim: { upstream, at } }, settlement) {
      const { object, charged } = settlement
      if (object === undefined || note.run(upstream, object, at).changes === 1) return settlement
      return { ...settlement, charged: { ...charged, tokens: 0, cost: 0 } }
    },
  }
}

/** No API keeps such objects for longer. One that is read after that is charged again. */
const OBJECT_DAYS = 400
const DAY_MS = 86_400_000

/** A step that forgets so many at most; true if there may be more. */
export function createForgetObjects(client: Database, rows: number): (at: number) => boolean {
  const forget = client.query(
    `DELETE FROM charged_objects WHERE rowid IN (
       SELECT rowid FROM charged_objects WHERE at < ? ORDER BY at LIMIT ${rows})`,
  )
  return (at) => forget.run(at - OBJECT_DAYS * DAY_MS).changes === rows
}
