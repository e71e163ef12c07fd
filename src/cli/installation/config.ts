/**
 * `quota-proxy config`: the settings in force and where each comes from.
 * It never shows a secret, only whether there is one.
 */
import { loadConfig, type Source } from '../../config/load.ts'
import { type Config, type Field, ROWS } from '../../config/options.ts'
import { hidePassword } from '../../domain/database-url.ts'
import type { CliCommand, JsonOption } from '../command.ts'
import { asJson, printTable } from '../output/list.ts'
import type { Column } from '../output/table.ts'
import { InvalidSettings, type Session } from '../session.ts'

type Row = {
  readonly name: string
  readonly value: Config[keyof Config] | null
  readonly source: Source
  readonly description: string
}

/** A sentence in a narrower column is hard to read. */
const SENTENCE_CHARS = 40

const COLUMNS: readonly Column<Row>[] = [
  { head: 'NAME', of: ({ name }) => name },
  { head: 'VALUE', of: ({ value }) => show(value), wraps: true },
  { head: 'SOURCE', of: ({ source }) => source, drops: 1 },
  { head: 'WHAT IT DOES', of: ({ description }) => description, wraps: SENTENCE_CHARS },
]

export function addConfig(program: CliCommand): void {
  program
    .command('config')
    .summary('show the settings in force')
    .description(
      'Show every setting, its value, where it comes from and what it does. Secrets stay hidden.',
    )
    .argument('[name]', 'print only the value of this one; nothing if it is not set')
    .json()
    .addHelpText('after', EXAMPLES)
    .action((name: string | undefined, { json = false }: JsonOption) =>
      showConfig(program.session, name, json),
    )
}

async function showConfig(
  session: Session,
  only: string | undefined,
  json: boolean,
): Promise<void> {
  const { env, io } = session
  const loaded = loadConfig(env)
  for (const warning of loaded.warnings) io.err(`warning: ${warning}\n`)
  if (!loaded.ok) throw new InvalidSettings(loaded.problems)

  const chosen = ROWS.filter(([, { env: name }]) => only === undefined || name === only)
  if (chosen.length === 0) {
    io.err('quota-proxy: There is no setting of this name; "quota-proxy config" shows them all.\n')
    session.exitCode = 2
    return
  }
  const rows: readonly Row[] = chosen.map(([field, option]) => {
    const value = loaded.config[field] ?? null
    return {
      name: option.env,
      value: option.secret && value !== null ? '(set, hidden)' : harmless(field, value),
      source: loaded.sources[field],
      description: option.sentence,
    }
  })
  if (json) io.out(asJson({ settings: rows }))
  else if (only !== undefined) io.out(rows.map(renderValue).join(''))
  else await printTable(session, [rows], COLUMNS, '')
}

/** A URL may hold a secret that the rest of it is not. */
function harmless(field: Field, value: Row['value']): Row['value'] {
  return field === 'databaseUrl' && typeof value === 'string' ? hidePassword(value) : value
}

function renderValue({ value }: Row): string {
  return `${value === null ? '' : show(value)}\n`
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
