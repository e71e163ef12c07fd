/** One look as a screen: the totals, and a row for each of the busiest keys. */
import { amount, money, time } from '../output/format.ts'
import { type Rendered, renderTable } from '../output/list.ts'
import type { Column } from '../output/table.ts'
import type { KeyRow, Sample } from './sample.ts'

const columnsIn = (currency: string): readonly Column<KeyRow>[] => [
  { head: 'KEY', of: ({ id }) => id, drops: 6 },
  { head: 'NAME', of: ({ name, deleted }) => (deleted ? `${name} (deleted)` : name), wraps: true },
  { head: 'CALLS/S', of: (row) => rate(row.calls_per_second), right: true },
  { head: 'CALLS', of: ({ calls }) => calls, right: true, drops: 3 },
  { head: 'FAILED', of: ({ failed }) => failed, right: true, drops: 2 },
  { head: 'REQUESTS', of: ({ requests }) => requests, right: true, drops: 4 },
  { head: 'TOKENS', of: ({ tokens }) => tokens, right: true },
  { head: `COST (${currency})`, of: ({ cost }) => money(cost), right: true, drops: 1 },
  { head: 'MS', of: ({ latency_ms }) => latency_ms, right: true },
  { head: 'USED', of: ({ used }) => used, right: true },
  { head: 'QUOTA', of: ({ deleted, quota }) => (deleted ? null : amount(quota)), right: true },
]

/** `rows` is how many lines there are; undefined is any number. */
export async function renderSample(
  sample: Sample,
  width: number | undefined,
  rows: number | undefined,
): Promise<Rendered> {
  const { at, seconds, calls, calls_per_second, refused_per_second, keys } = sample
  const refused = refused_per_second === null ? '' : `, ${rate(refused_per_second)} refused/s`
  const head = `${time(at)} UTC  ${rate(calls_per_second)} calls/s${refused}  (${calls} calls in ${Math.round(seconds)} s)\n\n`
  if (keys.length === 0) return { text: `${head}No calls.\n`, note: '' }
  // The two lines above, the heads of the columns, and one to spare for the cursor.
  const shown = rows === undefined ? keys : keys.slice(0, Math.max(1, rows - 4))
  const table = await renderTable(columnsIn(sample.currency), shown, width)
  return { ...table, text: head + table.text }
}

function rate(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)
}
