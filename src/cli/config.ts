/**
 * `quota-proxy config`: the settings in force and where each comes from.
 * It never shows a secret, only whether there is one.
 */
import type { Command } from 'commander'
import { loadConfig, type Source } from '../config/load.ts'
import { type Config, ROWS } from '../config/options.ts'
import type { Io, Session } from './program.ts'

type Row = {
  readonly name: string
  readonly value: Config[keyof Config] | null
  readonly source: Source
  readonly description: string
}

export function addConfig(program: Command, session: Session): void {
  program
    .command('config')
    .summary('show the settings in force')
    .description(
      'Show every setting, its value, where it comes from and what it does. Secrets stay hidden.',
    )
    .argument('[name]', 'print only the value of this one; nothing if it is not set')
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action((name: string | undefined, options: { json?: boolean }) => {
      session.exitCode = showConfig(session, name, options.json === true)
    })
}

/** Says everything that is wrong with the configuration; answers the exit code for it. */
export function printProblems(problems: readonly string[], io: Io): number {
  io.err(`The configuration is not valid:\n${problems.map((line) => `  - ${line}\n`).join('')}`)
  return 2
}

function showConfig({ env, io }: Session, only: string | undefined, asJson: boolean): number {
  const loaded = loadConfig(env)
  for (const warning of loaded.warnings) io.err(`warning: ${warning}\n`)
  if (!loaded.ok) return printProblems(loaded.problems, io)

  const chosen = ROWS.filter(([, { env: name }]) => only === undefined || name === only)
  if (chosen.length === 0) {
    io.err('There is no setting of this name; "quota-proxy config" shows them all.\n')
    return 2
  }
  const rows: readonly Row[] = chosen.map(([field, option]) => {
    const value = loaded.config[field] ?? null
    return {
      name: option.env,
      value: option.secret && value !== null ? '(set, hidden)' : value,
      source: loaded.sources[field],
      description: option.sentence,
    }
  })
  if (asJson) io.out(`${JSON.stringify({ settings: rows }, null, 2)}\n`)
  else io.out(only === undefined ? renderTable(rows) : rows.map(renderValue).join(''))
  return 0
}

function renderValue({ value }: Row): string {
  return `${value === null ? '' : show(value)}\n`
}

function renderTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => [row.name, show(row.value), row.source, row.description] as const)
  const table = [['NAME', 'VALUE', 'SOURCE', 'WHAT IT DOES'] as const, ...lines]
  const width = (column: 0 | 1 | 2) => Math.max(...table.map((line) => line[column].length))
  const [name, value, source] = [width(0), width(1), width(2)]
  return table
    .map(
      (line) =>
        `${line[0].padEnd(name)}  ${line[1].padEnd(value)}  ${line[2].padEnd(source)}  ${line[3]}\n`,
    )
    .join('')
}

function show(value: Row['value']): string {
  if (value === null || value === undefined) return '(not set)'
  if (typeof value !== 'object') return String(value)
  if ('host' in value) return showEntry(value)
  return value.length === 0 ? '(none)' : value.map(showEntry).join(', ')
}

function showEntry(entry: string | Config['egressAllow'][number]): string {
  if (typeof entry === 'string') return entry
  const { host, port } = entry
  const name = host.includes(':') ? `[${host}]` : host
  return port === undefined ? name : `${name}:${port}`
}

const EXAMPLES = `
Examples:
  quota-proxy config
  quota-proxy config --json
  quota-proxy config DATABASE_URL
  PORT=abc quota-proxy config   (says what is wrong, exit code 2)`
