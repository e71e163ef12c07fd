/** What answers report, by their whole values and by the members alone that are looked for. */
import { describe, expect, test } from 'bun:test'
import { picker } from '../../src/lib/json/member.ts'
import { createReading } from '../../src/metering/dialects/reading.ts'
import { REPORT, SIGNS } from '../../src/metering/dialects/table.ts'
import type { Reported } from '../../src/metering/usage.ts'

const pick = picker(REPORT)

function read(values: readonly unknown[]): Reported {
  const reading = createReading()
  for (const value of values) reading.take(value)
  return reading.usage()
}

type Case = [what: string, values: readonly unknown[], usage: Reported]

export function tellWhole(api: string, cases: readonly Case[]): void {
  describe(api, () => {
    for (const [what, values, usage] of cases) {
      test(what, () => {
        expect(read(values)).toEqual(usage)
        expect(read(values.map((value) => pick(JSON.stringify(value))))).toEqual(usage)
      })
    }
  })
}

/** The same, and that each value that reports has a sign. */
export function tell(api: string, cases: readonly Case[]): void {
  tellWhole(api, cases)
  describe(api, () => {
    for (const [what, values, usage] of cases) {
      test(`${what}, by its signs`, () => {
        // What has no sign is never looked at.
        const seen = values.filter((value) =>
          SIGNS.some((sign) => JSON.stringify(value).includes(`"${sign}"`)),
        )
        const { model: _, ...counted } = read(seen)
        const { model: __, ...expected } = usage
        expect(counted).toEqual(expected)
      })
    }
  })
}
