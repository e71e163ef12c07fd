/**
 * `quota-proxy keys import`: issues many keys at once. Every row is tried on an empty database in memory before the first
 * is issued; what was issued is written at once, and a failure says where to go on.
 */
import { type Command, InvalidArgumentError } from 'commander'
import { loadConfig } from '../../config/load.ts'
import { csvRow } from '../../lib/text/csv.ts'
import {
  type Admin,
  type AdminOptions,
  administer,
  ask,
  examples,
  explain,
  Misuse,
  withServer,
} from '../admin.ts'
import { openRehearsal } from '../in-process.ts'
import { readInput } from '../input.ts'
import type { Session } from '../program.ts'
import { count } from '../table.ts'
import { type Row, readRows } from './rows.ts'
import type { Key } from './show.ts'

type Options = AdminOptions & { readonly dryRun?: boolean; readonly fromLine: number }

/** More than anyone mends at once. */
const SHOWN_PROBLEMS_MAX = 20

export function addKeyImport(keys: Command, session: Session): void {
  const command = keys
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
    .option('--from-line <number>', 'go on with this line (of JSON: entry)', readLine, 1)
    .action(async (path: string, options: Options) => {
      const rows = readRows(await readInput(path), path)
      const wanted = rows.filter(({ line }) => line >= options.fromLine)
      if (wanted.length === 0) throw new Misuse(`There are no keys in ${path} to issue.`)
      if (!(await rehearse(session, wanted))) return
      if (options.dryRun) {
        session.io.err(`${count(wanted.length)} keys could be issued.\n`)
        return
      }
      await administer(
        session,
        options,
        (admin) => issueAll(session, admin, wanted, options.json === true),
        { creates: true },
      )
    })
  examples(
    withServer(command),
    'quota-proxy keys import students.csv > keys.csv',
    'quota-proxy keys import students.csv --dry-run',
    'quota-proxy keys import keys.json --url https://proxy.example --token-file token.txt --json',
  ).addHelpText(
    'after',
    `
The columns of CSV are fields of the API: name and quota, and perhaps window, timezone, week_start, expires_at,
prefix, concurrency, enabled, key (one to take over), and lists with semicolons: tags, upstreams, methods, paths,
models, ip_allow. JSON takes every field.`,
  )
}

/** Whether an empty server would take all of it. */
async function rehearse(session: Session, rows: readonly Row[]): Promise<boolean> {
  const loaded = loadConfig(session.env)
  if (!loaded.ok) throw new Misuse(loaded.problems.join('\n'))
  const admin = await openRehearsal(loaded.config)
  let problems = 0
  try {
    for (const { line, body } of rows) {
      const answer = await admin.request('POST', '/admin/keys', body)
      if (answer.status < 400) continue
      problems++
      if (problems <= SHOWN_PROBLEMS_MAX) session.io.err(`line ${line}: ${explain(answer)}`)
    }
  } finally {
    admin.close()
  }
  if (problems === 0) return true
  const more = problems - SHOWN_PROBLEMS_MAX
  if (more > 0) session.io.err(`… and ${count(more)} more lines.\n`)
  session.io.err('Nothing was issued.\n')
  session.exitCode = 1
  return false
}

async function issueAll(
  { io }: Session,
  admin: Admin,
  rows: readonly Row[],
  asJson: boolean,
): Promise<void> {
  const showsProgress = process.stderr.isTTY
  let done = 0
  try {
    for (const { line, body } of rows) {
      const key = await ask<Key>(admin, 'POST', '/admin/keys', body)
      const row = asJson
        ? `${done === 0 ? '[' : ','}\n${JSON.stringify({ line, ...key })}`
        : `${done === 0 ? csvRow(['line', 'id', 'name', 'key']) : ''}${csvRow([line, key.id, key.name, key.key ?? ''])}`
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

function readLine(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number from 1.')
}
