/** What each way to end costs under each policy, written out. */
import { expect, test } from 'bun:test'
import { OUTCOMES, type Outcome } from '../../src/domain/call.ts'
import { NO_UNITS, type Units } from '../../src/domain/limit.ts'
import { CHARGE_ON } from '../../src/domain/upstream.ts'
import { chargeFor } from '../../src/quota/charge-policy.ts'

const UNITS: Units = { requests: 1, tokens: 500, cost: 70 }

/** outcome, status → charged under `attempt`, `answer`, `success` */
const table: [Outcome, number | null, boolean, boolean, boolean][] = [
  ['answered', 200, true, true, true],
  ['answered', 204, true, true, true],
  ['answered', 304, true, true, true],
  ['answered', 399, true, true, true],
  ['answered', 400, true, true, false],
  ['answered', 429, true, true, false],
  ['answered', 499, true, true, false],
  ['answered', 500, true, false, false],
  ['answered', 599, true, false, false],
  ['client_aborted', null, true, true, true],
  ['client_aborted', 200, true, true, true],
  ['client_aborted', 500, true, true, true],
  ['upstream_error', null, true, false, false],
  ['upstream_timeout', null, true, false, false],
  ['upstream_timeout', 200, true, true, false],
  ['upstream_truncated', 200, true, true, false],
  ['upstream_truncated', 502, true, false, false],
  ['not_sent', null, false, false, false],
] // biome-ignore format: a table

for (const [i, chargeOn] of CHARGE_ON.entries()) {
  test(`charge_on=${chargeOn} charges all that was reserved or nothing, as the table says`, () => {
    for (const [outcome, status, ...charged] of table) {
      const wanted = { outcome, status, units: charged[i] ? UNITS : NO_UNITS }
      expect({ outcome, status, units: chargeFor(chargeOn, UNITS, outcome, status) }).toEqual(
        wanted,
      )
    }
  })
}

test('the table knows every outcome that a call can have while this process lives', () => {
  const known = new Set(table.map(([outcome]) => outcome))
  // What a crash has interrupted is charged as it was reserved, at the next start.
  expect(OUTCOMES.filter((outcome) => !known.has(outcome))).toEqual(['interrupted'])
})
