/** What each way to end costs under each policy, written out. */
import { expect, test } from 'bun:test'
import { OUTCOMES, type Outcome } from '../../src/domain/call.ts'
import { NO_UNITS, type Units } from '../../src/domain/limit.ts'
import { CHARGE_ON } from '../../src/domain/upstream.ts'
import { chargeFor, explain } from '../../src/quota/charge-policy.ts'

const UNITS: Units = { requests: 1, tokens: 500, cost: 70 }

/** outcome, status → charged under `attempt`, `answer`, `success` */
const table: [Outcome, number | null, boolean, boolean, boolean][] = [
  ['answered', 200, true, true, true],
  ['answered', 204, true, true, true],
  ['answered', 304, true, true, true],
  ['answered', 399, true, true, true],
  ['answered', 400, true, true, false],
  ['answered', 402, true, false, false],
  ['answered', 408, true, false, false],
  ['answered', 429, true, false, false],
  ['answered', 499, true, true, false],
  ['answered', 500, true, false, false],
  ['answered', 529, true, false, false],
  ['answered', 599, true, false, false],
  ['client_aborted', null, true, true, true],
  ['client_aborted', 200, true, true, true],
  ['client_aborted', 500, true, true, true],
  ['client_aborted', 429, true, false, false],
  ['interrupted', null, true, true, true],
  ['interrupted', 200, true, true, true],
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
      const ended = { outcome, status, failed: false, isNamed: true, lacksQuota: false }
      const units = charged[i] ? UNITS : NO_UNITS
      expect({ ...ended, units: chargeFor(chargeOn, UNITS, ended) }).toEqual({ ...ended, units })
    }
  })
}

test('an answer that says itself that the work failed is no success, however it ended', () => {
  for (const outcome of ['answered', 'client_aborted', 'interrupted'] as const) {
    const charged = CHARGE_ON.map((on) =>
      chargeFor(on, UNITS, {
        outcome,
        status: 200,
        failed: true,
        isNamed: true,
        lacksQuota: false,
      }),
    )
    expect(charged).toEqual([UNITS, UNITS, NO_UNITS])
  }
  expect(explain('answered', 200, UNITS, NO_UNITS)).toBe(
    'Given back: the upstream answered 200, and its answer says that the work failed.',
  )
  expect(explain('answered', 429, UNITS, NO_UNITS)).toBe('Given back: the upstream answered 429.')
})

test('an endpoint that the holder has chosen cannot say that it is not to be paid for', () => {
  for (const status of [402, 408, 429]) {
    const ended = {
      outcome: 'answered',
      status,
      failed: false,
      isNamed: false,
      lacksQuota: false,
    } as const
    expect(CHARGE_ON.map((on) => chargeFor(on, UNITS, ended))).toEqual([UNITS, UNITS, NO_UNITS])
  }
})

test('the table knows every outcome that a call can have', () => {
  const known = new Set(table.map(([outcome]) => outcome))
  expect(OUTCOMES.filter((outcome) => !known.has(outcome))).toEqual([])
})
