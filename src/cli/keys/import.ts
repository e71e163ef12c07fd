/**
 * `quota-proxy keys import`: issues many keys at once. It tries every row on an empty database in
 * memory before it issues the first. It writes each key at once, and after a failure says where to
 * go on.
 */
import { csvRow } from '../../lib/text/csv.ts'
import { type Api, createApi, Refused } from '../api.ts'
import type { AdminOptions, CliCommand, Run } from '../command.ts'
import { openRehearsal } from '../connect.ts'
import { readCount, readInput } from '../input.ts'
import { count } from '../output/format.ts'
import { Misuse, type Session, settings } from '../session.ts'
import { type Row, readRows } from './rows.ts'

type Options = AdminOptions & { readonly dryRun?: boolean; readonly fromLine: number }

/** More than anyone mends at once. */
const SHOWN_PROBLEMS_MAX = 20

export function addKeyImport(keys: CliCommand): void {
  keys
    .command('import')
    .summary('issue many keys')
    .description(
      'Issue a key for every row of a CSV file, or every entry of a JSON array such as "keys export" writes. All rows are checked before the first key is issued. The new keys go to standard output as CSV (line, id, name, key), or as a JSON array.',
    )
    .argument(
      '<file>',
      'CSV with a first line such as name,quota,expires_at; or JSON; - is standard input',
    )
    .option('--dry-run', 'only check the file')
    .option('--from-line <number>', 'go on with this line (of JSON: entry)', readCount, 1)
    .json()
    .usesApi(importKeys, { creates: true })
    .examples(
      'quota-proxy keys import students.csv > keys.csv',
      'quota-proxy keys import students.csv --dry-run',
      'quota-proxy keys import keys.json --url https://proxy.example --token-file token.txt --json',
    )
    .addHelpText(
      'after',
      `
The columns of CSV are fields of the API: name and quota, and perhaps window, timezone, week_start, expires_at,
prefix, concurrency, enabled, reserve_max (such as tokens=8000), key (one to take over), and lists with semicolons:
tags, upstreams, methods, paths, models, ip_allow. JSON takes every field.`,
    )
}

async function importKeys({ session, api, options }: Run<Options>, path: string): Promise<void> {
  const rows = readRows(await readInput(path), path)
  const wanted = rows.filter(({ line }) => line >= options.fromLine)
  if (wanted.length === 0) throw new Misuse(`There are no keys in ${path} to issue.`)
  if (!(await rehearse(session, wanted))) session.exitCode = 1
  else if (options.dryRun) session.io.err(`${count(wanted.length)} keys could be issued.\n`)
  else await issueAll(session, api, wanted, options.json === true)
}

/** Whether an empty server would take all of it. */
async function rehearse(session: Session, rows: readonly Row[]): Promise<boolean> {
  const { err } = session.io
  const config = settings(session)
  const api = createApi(() => openRehearsal(config))
  let problems = 0
  try {
    for (const { line, body } of rows) {
      const problem = await problemOf(api, body)
      if (problem === null) continue
      problems++
      if (problems <= SHOWN_PROBLEMS_MAX) err(`line ${line}: ${problem}`)
    }
  } finally {
    await api.close()
  }
  if (problems === 0) return true
  const more = problems - SHOWN_PROBLEMS_MAX
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

async function issueAll(
  { io }: Session,
  api: Api,
  rows: readonly Row[],
  asJson: boolean,
): Promise<void> {
  await api.admin()
  const showsProgress = process.stderr.isTTY
  let done = 0
  try {
    for (const { line, body } of rows) {
      const key = await api.ask('POST /admin/keys', {}, body)
      const row = asJson
        ? `${done === 0 ? '[' : ','}\n${JSON.stringify({ line, ...key })}`
        : `${done === 0 ? csvRow(['line', 'id', 'name', 'key']) : ''}${csvRow([line, key.id, key.name, key.key])}`
      io.out(row)
      // It cannot be had again: nothing is issued while one may still be lost with this process.
      await io.flush?.()
      done++
      if (showsProgress) io.err(`\r${count(done)} of ${count(rows.length)} keys`)
    }
  } catch (error) {
    const failed = rows[done]?.line ?? 0
    io.err(
      `${showsProgress ? '\n' : ''}${count(done)} keys were issued. The key of line ${failed} was not, as far as is known: look, mend it, and go on with --from-line ${failed}.\n`,
    )
    throw error
  } finally {
    if (asJson && done > 0) io.out('\n]\n')
  }
  io.err(`${showsProgress ? '\r' : ''}${count(done)} keys were issued; they cannot be had again.\n`)
}
