/** What `migrate-data` says to people: what it will do, and what it has found. */
import type { Compared, Outcome, Plan } from '../../db/move/move.ts'
import type { Examination } from '../../domain/store.ts'
import { count } from '../output/format.ts'
import { renderFindings, wrapped } from '../output/lines.ts'
import { renderTable } from '../output/list.ts'
import type { Column } from '../output/table.ts'

const HOW: Readonly<Record<Plan['how'], string>> = {
  new: 'The target is empty. It gets the tables of this version, and then all of these rows.',
  resumed: 'The target has a part of them, from a copy that was cut off. It goes on from there.',
  again:
    'The target has an unfinished copy that does not fit the source as it is now. It is removed, and all is copied again.',
  same: 'The target has all of them already. Nothing is copied; both are compared.',
}

type Width = number | undefined

const ROWS: readonly Column<Plan['tables'][number]>[] = [
  { head: 'TABLE', of: ({ name }) => name },
  { head: 'ROWS', of: ({ rows }) => rows, right: true },
]

export async function describePlan(
  { from, to, how, tables, interrupted, served }: Plan,
  width: Width,
): Promise<string> {
  const { text } = await renderTable(ROWS, tables, width)
  const sentences: string[] = []
  if (served === null && interrupted > 0)
    sentences.push(
      `${count(interrupted)} of these calls were in flight when the server died. In the copy they are "interrupted" and charged as reserved, as after a start.`,
    )
  sentences.push(`${HOW[how]} The source is only read.`)
  if (served !== null) sentences.push(`${served} Until then these numbers go on.`)
  const lines = sentences.map((sentence) => `${wrapped(sentence, width)}\n`)
  return `From ${from}\nTo   ${to}\n\n${text}\n${lines.join('')}`
}

type Sum = { readonly name: string; readonly sum: string }

const SUMS: readonly Column<Sum>[] = [
  { head: 'SUM OF', of: ({ name }) => name },
  { head: 'IN BOTH', of: ({ sum }) => sum, right: true },
]

/** Of a copy that is equal. */
export async function tellOutcome(
  { from, to }: Plan,
  { tables }: Outcome,
  doctor: Examination | null,
  width: Width,
): Promise<string> {
  const rows = tables.reduce((sum, table) => sum + table.to.rows, 0)
  const all = `All ${count(rows)} rows are in ${to}, and equal to those in ${from}.`
  const sums = tables.flatMap(({ name, to: { sums: found } }) =>
    Object.entries(found).map(([column, sum]) => ({
      name: `${name}.${column}`,
      sum: BigInt(sum).toLocaleString('en'),
    })),
  )
  const { text } = await renderTable(SUMS, sums, width)
  const bad = doctor?.findings.filter(({ ok }) => !ok) ?? []
  const findings = bad.length > 0 ? `${renderFindings(bad, width)}\n` : ''
  const last = isUnwell(doctor)
    ? UNWELL
    : `Set DATABASE_URL to the target and start the server. Keep ${from} until you are content: what is done from now on is not in it.`
  return `\n${wrapped(all, width)}\n\n${text}\n${findings}${wrapped(last, width)}\n`
}

/** The rows are equal, so that what is wrong was wrong before. */
const UNWELL =
  'The copy is whole, but not all is well with it. "quota-proxy doctor" on the source says whether it was so before.'

/** Of what doctor finds, this is about the rows; the rest is about the machine that they are on. */
const OF_ROWS = ['books', 'holds', 'integrity', 'foreign_keys']

export function isUnwell(doctor: Examination | null): boolean {
  return doctor?.findings.some(({ ok, check }) => !ok && OF_ROWS.includes(check)) ?? false
}

export function differs(how: Plan['how'], tables: readonly Compared[]): string {
  const lines = tables
    .filter(({ same }) => !same)
    .map(({ name, from, to }) => {
      const [rows, there] = [count(from.rows), count(to.rows)]
      const what =
        rows === there ? `${rows} rows, not all equal` : `${rows} rows, ${there} in the target`
      return `  - ${name}: ${what}\n`
    })
  const [so, now] =
    how === 'same'
      ? ['Nothing was copied', 'Name another target.']
      : ['It stays unfinished, and no server takes it', 'The same command again begins anew.']
  return `quota-proxy: The target differs from the source. ${so}:\n${lines.join('')}${now}\n`
}
