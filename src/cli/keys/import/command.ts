/**
 * `quota-proxy keys import`: issues many keys at once. It tries every row on an empty database in
 * memory before it issues the first. It writes each key at once, and after a failure says where to
 * go on.
 */
import { InvalidArgumentError, Option } from 'commander'
import { type Api, createApi, Refused } from '../../api.ts'
import type { AdminOptions, CliCommand, Run } from '../../command.ts'
import { openRehearsal } from '../../connect/in-process.ts'
import { readCount, readText } from '../../input.ts'
import { count } from '../../output/format.ts'
import { createProgress } from '../../output/progress.ts'
import { Misuse, type Session, settings } from '../../session.ts'
import { issueAll } from './issue.ts'
import { type Row, readRows } from './rows.ts'

type Options = AdminOptions & {
  readonly dryRun?: boolean
  readonly fromLine: number
  readonly encoding?: string
  readonly keyColumn?: 'name' | 'key'
  readonly output?: string
  readonly bom?: boolean
}

/** More than anyone mends at once. */
const SHOWN_PROBLEMS_MAX = 20

export function addKeyImport(keys: CliCommand): void {
  keys
    .command('import')
    .summary('issue many keys')
    .description(
      'Issue a key for every row of a CSV file, or every entry of a JSON array such as "keys export" writes. All rows are checked before the first key is issued. The new keys go to standard output as CSV (line, id, name, key), or as a JSON array; with --output, to a file for its owner alone.',
    )
    .argument(
      '<file>',
      'CSV with a first line such as name,quota,expires_at; or JSON; - is standard input',
    )
    .option('--dry-run', 'only check the file')
    .option('--output <file>', 'write the new keys to this file instead; it must not exist yet')
    .option('--bom', 'write CSV for Excel, with its mark for UTF-8 and its line ends')
    .addOption(
      new Option('--key-column <column>', 'skip rows whose name, or key, is there already').choices(
        ['name', 'key'],
      ),
    )
    .option('--encoding <name>', 'of the file, such as gbk; UTF-8 unless given', readEncoding)
    .option('--from-line <number>', 'go on with this line (of JSON: entry)', readCount, 1)
    .json()
    .usesApi(importKeys, { creates: true })
    .examples(
      'quota-proxy keys import students.csv > keys.csv',
      'quota-proxy keys import students.csv --key-column name --output keys.csv',
      'quota-proxy keys import students.csv --encoding gbk --output keys.csv --bom',
      'quota-proxy keys import students.csv --dry-run',
      'quota-proxy keys import keys.json --url https://proxy.example --token-file token.txt --json',
    )
    .addHelpText(
      'after',
      `
The columns of CSV are fields of the API: name and quota, and perhaps window, timezone, week_start,
expires_at, prefix, concurrency, enabled, reserve_max (such as tokens=8000), key (one to take over),
and lists with semicolons: tags, upstreams, methods, paths, models, ip_allow. A column such as limit:tokens/day or limit:cost/month
holds the amounts of a further limit; "-" in it is no such limit. Days and times from now, such as
2026-12-31 and 30d, are read as by --expires. JSON takes every field.`,
    )
}

function readEncoding(label: string): string {
  try {
    return new TextDecoder(label as Bun.Encoding).encoding
  } catch {
    throw new InvalidArgumentError('It must be an encoding, such as utf-8, gbk or utf-16le.')
  }
}

async function importKeys({ session, api, options }: Run<Options>, path: string): Promise<void> {
  const { fromLine, dryRun, keyColumn, output, bom = false, json = false } = options
  if (bom && json) throw new Misuse('--bom is for CSV. Choose one of --bom and --json.')
  const text = await readText(path, options.encoding)
  const rows = readRows(text, path, settings(session).defaultTimezone)
  const wanted = rows.filter(({ line }) => line >= fromLine)
  if (wanted.length === 0) throw new Misuse(`There are no keys in ${path} to issue.`)
  if (!(await rehearse(session, wanted))) {
    session.exitCode = 1
    return
  }
  const missing = keyColumn ? await notThere(api, wanted, keyColumn) : wanted
  const skipped = wanted.length - missing.length
  const { err } = session.io
  const rowsSkipped =
    skipped === 1 ? '1 row is skipped: its' : `${count(skipped)} rows are skipped: their`
  if (skipped > 0) err(`${rowsSkipped} ${keyColumn} is there already.\n`)
  if (dryRun)
    err(`${missing.length === 1 ? '1 key' : `${count(missing.length)} keys`} could be issued.\n`)
  else await issueAll(session, api, missing, { asJson: json, bom, output })
}

/** The rows that no key of the server has the name, or the secret, of. Of twins in the file, the first is left. */
async function notThere(api: Api, rows: readonly Row[], column: 'name' | 'key'): Promise<Row[]> {
  const without = rows.find(({ body }) => typeof body[column] !== 'string')
  if (without) throw new Misuse(`Line ${without.line} has no ${column}, which --key-column needs.`)
  const known = new Set<unknown>()
  if (column === 'name') {
    for await (const keys of api.pages('GET /admin/keys', {}))
      for (const { name } of keys) known.add(name)
  }
  const missing: Row[] = []
  for (const row of rows) {
    const value = row.body[column]
    const isThere = known.has(value) || (column === 'key' && (await isIssued(api, value as string)))
    known.add(value)
    if (!isThere) missing.push(row)
  }
  return missing
}

async function isIssued(api: Api, key: string): Promise<boolean> {
  try {
    await api.ask('GET /admin/keys/:key', { key })
    return true
  } catch (error) {
    if (error instanceof Refused && error.code === 'key_not_found') return false
    throw error
  }
}

/** Whether an empty server would take all of it. */
async function rehearse(session: Session, rows: readonly Row[]): Promise<boolean> {
  const { err } = session.io
  const config = settings(session)
  const api = createApi(() => openRehearsal(config))
  const progress = createProgress(session, 'rows checked', rows.length)
  const problems: string[] = []
  try {
    for (const { line, body } of rows) {
      const problem = await problemOf(api, body)
      progress.step()
      if (problem !== null) problems.push(`line ${line}: ${problem}`)
    }
  } finally {
    progress.end()
    await api.close()
  }
  for (const problem of problems.slice(0, SHOWN_PROBLEMS_MAX)) err(problem)
  if (problems.length === 0) return true
  const more = problems.length - SHOWN_PROBLEMS_MAX
  if (more > 0) err(`… and ${count(more)} more lines.\n`)
  err('Nothing was issued.\n')
  return false
}

async function problemOf(api: Api, body: Row['body']): Promise<string | null> {
  try {
    await api.ask('POST /admin/keys', {}, body)
    return null
  } catch (error) {
    if (error instanceof Refused) return error.message
    throw error
  }
}
