/** Tab in real shells at a real terminal: commands, options and their values are completed, and nothing that was typed is run. */
import { expect, test } from 'bun:test'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../support/command.ts'
import { COMMAND, temporaryDirectory } from '../support/server.ts'
import { openTerminal, type TestTerminal } from '../support/terminal.ts'

type Shell = 'bash' | 'zsh' | 'fish'

const TAB = '\t'
const CTRL_U = '\u0015'

/** A shell with the script loaded, in a directory with one file. */
async function openShell(shell: Shell): Promise<{ terminal: TestTerminal; cwd: string }> {
  const cwd = temporaryDirectory()
  const home = join(cwd, 'home')
  mkdirSync(home)
  writeFileSync(join(cwd, 'credential of mine.txt'), '')
  const { out, code } = await runCommand([...COMMAND, 'completion', shell])
  expect(code).toBe(0)
  const script = join(home, `quota-proxy.${shell}`)
  writeFileSync(script, out)
  const load = shell === 'zsh' ? 'autoload -Uz compinit && compinit -u && ' : ''
  const terminal = openTerminal(STARTS[shell], { HOME: home, PS1: '> ' }, { cols: 200, cwd })
  terminal.type(`${load}source ${script}; echo lo''aded\r`)
  await terminal.shows(/loaded\r?\n/)
  return { terminal, cwd }
}

const STARTS: Readonly<Record<Shell, readonly string[]>> = {
  bash: ['bash', '--norc', '--noprofile', '-i'],
  zsh: ['zsh', '-f', '-i'],
  fish: ['fish', '--no-config', '-i'],
}

/** What is typed, how often Tab is pressed, and what is then to be read. */
const COMPLETIONS: readonly [string, string, RegExp][] = [
  ['quota-proxy ke', TAB, /quota-proxy keys /],
  ['quota-proxy keys upd', TAB, /quota-proxy keys update /],
  ['quota-proxy keys create --quo', TAB, /quota-proxy keys create --quota /],
  ['quota-proxy keys list --status dis', TAB, /--status disabled /],
  ['quota-proxy completion zs', TAB, /completion zsh /],
  ['quota-proxy upstreams create x --credential-file cred', TAB, /credential\\ of\\ mine\.txt/],
  ['quota-proxy keys r', TAB + TAB, /reset[\s\S]*rotate|rotate[\s\S]*reset/],
]

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  const isThere = Bun.which(shell) !== null
  test.skipIf(!isThere)(
    `${shell} completes commands, options, their values and files (needs ${shell})`,
    async () => {
      const { terminal } = await openShell(shell)
      for (const [typed, tabs, expected] of COMPLETIONS) {
        const from = terminal.raw().length
        terminal.type(typed + tabs)
        await terminal.shows(new RegExp(expected.source))
        expect(terminal.raw().length).toBeGreaterThan(from)
        terminal.type(`${CTRL_U}echo do''ne ${from}\r`)
        await terminal.shows(new RegExp(`done ${from}`))
      }
      terminal.end()
    },
    60_000,
  )

  test.skipIf(!isThere)(
    `pressing Tab in ${shell} runs nothing that was typed (needs ${shell})`,
    async () => {
      const { terminal, cwd } = await openShell(shell)
      const trap = join(cwd, 'trap')
      symlinkSync('/bin/true', join(cwd, 'quota-proxy'))
      terminal.type(`quota-proxy keys create "$(touch ${trap})" '$(touch ${trap})' --quo${TAB}`)
      await terminal.shows(/--quota /)
      expect(existsSync(trap)).toBe(false)
      terminal.end()
    },
    60_000,
  )
}

test('a shell that is not known is refused with the ones that are', async () => {
  const { out, err, code } = await runCommand([...COMMAND, 'completion', 'tcsh'])
  expect({ out, code }).toEqual({ out: '', code: 2 })
  expect(err).toContain('Allowed choices are bash, zsh, fish.')
})
