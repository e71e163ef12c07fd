/** What holds of every command, whoever adds it: it explains itself, takes no secret as an argument, and starts quickly. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { createProgram } from '../../src/cli/program.ts'

const SRC = join(import.meta.dir, '../../src')

const io = { out() {}, err() {} }
const program = createProgram({ env: {}, io, exitCode: 0 })
const commands = walk(program)
const leaves = commands.filter((command) => command.commands.length === 0)

function walk(command: Command): Command[] {
  return [command, ...command.commands.flatMap((one) => walk(one as Command))]
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name()
}

function helpOf(command: Command): string {
  let text = ''
  const write = (part: string) => {
    text += part
  }
  command.configureOutput({ writeOut: write, getOutHelpWidth: () => 100 }).outputHelp()
  return text
}

test('every command says in a line and in a sentence what it does, and shows an example of itself', () => {
  expect(leaves.length).toBeGreaterThan(25)
  const wrong = leaves.filter((command) => {
    const example = new RegExp(`Examples:\\n[^]*${nameOf(command)}`)
    const isSelfEvident = command.name() === 'version'
    return (
      command.summary() === '' ||
      !command.description().endsWith('.') ||
      (!isSelfEvident && !example.test(helpOf(command)))
    )
  })
  expect(wrong.map(nameOf)).toEqual([])
})

test('no secret is taken from an argument: what may hold one is a file', () => {
  const secret = /token|secret|credential|password|identity/i
  const named = commands.flatMap((command) =>
    command.options
      .filter((option) => option.required && secret.test(option.long ?? ''))
      .map((option) => `${nameOf(command)} ${option.flags}`),
  )
  expect(named.length).toBeGreaterThan(5)
  // These say where a credential goes, not what it is.
  const places = /--credential-(?:header|query|template) /
  expect(named.filter((flags) => !/<file>/.test(flags) && !places.test(flags))).toEqual([])
})

test('what cannot be undone asks, and can be told not to', () => {
  const final = /^quota-proxy (?:.* )?(?:delete|reset|rotate|restore|prune)\b/
  const asking = leaves.filter((command) => final.test(nameOf(command)))
  expect(asking.length).toBeGreaterThan(4)
  const silent = asking.filter((command) => {
    // It takes nothing away: every credential stays, and can be opened.
    if (nameOf(command) === 'quota-proxy secret rotate') return false
    return !command.options.some(({ long }) => long === '--yes')
  })
  expect(silent.map(nameOf)).toEqual([])
})

test('a command loads only what it needs: neither the database nor the web framework, unless it uses them', () => {
  const seen = new Set<string>()
  const packages = new Set<string>()
  const visit = (path: string) => {
    if (seen.has(path)) return
    seen.add(path)
    const code = readFileSync(join(SRC, path), 'utf8')
    // Neither types nor what is loaded at its use.
    for (const [, target = ''] of code.matchAll(
      /^(?:import|export)\s(?!type\b)[^']*?from\s+'([^']+)'/gm,
    )) {
      if (target.startsWith('.')) visit(join(dirname(path), target))
      else packages.add(target)
    }
  }
  // main.ts loads it when it knows that this process will not be replaced.
  visit('main.ts')
  visit('cli/program.ts')
  expect(seen.size).toBeGreaterThan(30)
  const heavy = [...seen].filter((path) =>
    /^(?:db|tracing|selftest)\/|^(?:app|server|listeners)\.ts$/.test(path),
  )
  expect(heavy).toEqual([])
  const light = /^(?:bun$|commander|ipaddr\.js|croner|node:)/
  expect([...packages].filter((name) => !light.test(name))).toEqual([])
})
