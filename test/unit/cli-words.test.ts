/** The words that options take are those of the API: a list that is typed anew goes its own way. */
import { expect, test } from 'bun:test'
import type { Command } from 'commander'
import { createProgram } from '../../src/cli/program.ts'
import { WEEK_STARTS, WINDOWS } from '../../src/domain/limit.ts'
import { CHARGE_ON } from '../../src/domain/upstream.ts'

const program = createProgram({ env: {}, io: { out() {}, err() {} }, exitCode: 0 })

function walk(command: Command): Command[] {
  return [command, ...command.commands.flatMap((one) => walk(one as Command))]
}

for (const [flag, words] of [
  ['--window', WINDOWS],
  ['--week-start', WEEK_STARTS],
  ['--charge-on', CHARGE_ON],
] as const) {
  test(`${flag} takes each word that the API takes, and no other`, () => {
    const options = walk(program).flatMap((command) =>
      command.options.filter(({ long }) => long === flag),
    )
    expect(options.length).toBeGreaterThan(0)
    for (const { argChoices } of options) expect(argChoices ?? []).toEqual([...words])
  })
}
