/** Tables for people: columns of text without lines, as wide as the terminal at most. */
import { count } from './format.ts'

export type Cell = string | number | null

export type Column<T> = {
  readonly head: string
  readonly of: (row: T) => Cell
  /** Numbers, to be compared by their length. */
  readonly right?: true
  /** Goes on in a second line where the terminal is too narrow. */
  readonly wraps?: true
  /** Left out where the terminal is too narrow; the highest first. */
  readonly drops?: number
}

/** What stands for nothing. */
const NONE = '-'
const GAP = '  '
/** No text is wrapped to less. */
const WRAPPED_CHARS_MIN = 12

/** Anyone may have written a text (upstreams name models): none may move the cursor. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Undefined where nothing bounds it, as in a pipe. */
export function terminalWidth(): number | undefined {
  return process.stdout.isTTY ? process.stdout.columns : undefined
}

export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd')
}

/** Without a width, as wide as the rows are. */
export async function renderTable<T>(
  all: readonly Column<T>[],
  rows: readonly T[],
  width: number | undefined,
): Promise<string> {
  // Loaded here so that commands without tables start without it.
  const { default: Table } = await import('cli-table3')
  const columns = columnsFor(all, rows, width)
  const widths = fitted(columns, naturalWidths(columns, rows), width)
  const cells = rows.map((row) => columns.map(({ of }) => shown(of(row))))
  // Wrapped here: the table counts characters where it wraps, of which wide ones take two columns.
  const lines = [columns.map(({ head }) => head), ...cells].map((line) =>
    line.map((text, i) => Bun.wrapAnsi(text, widths[i] ?? 0, { hard: true })),
  )
  const table = new Table({
    chars: CHARS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: columns.map(({ right }) => (right ? 'right' : 'left')),
    colWidths: widths,
  })
  table.push(...lines)
  return table
    .toString()
    .split('\n')
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** The columns that there is room for, if those that can be wrapped are. */
export function columnsFor<T>(
  all: readonly Column<T>[],
  rows: readonly T[],
  width: number | undefined,
): readonly Column<T>[] {
  if (width === undefined) return all
  let columns = all
  for (;;) {
    const natural = naturalWidths(columns, rows)
    const least = natural.map((one, i) =>
      columns[i]?.wraps ? Math.min(one, WRAPPED_CHARS_MIN) : one,
    )
    const first = Math.max(...columns.map(({ drops = 0 }) => drops))
    if (widthOfAll(least) <= width || first === 0) return columns
    columns = columns.filter(({ drops = 0 }) => drops < first)
  }
}

function naturalWidths<T>(columns: readonly Column<T>[], rows: readonly T[]): number[] {
  return columns.map(({ head, of }) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(shown(of(row)))), widthOf(head)),
  )
}

function widthOfAll(widths: readonly number[]): number {
  return widths.reduce((sum, one) => sum + one + GAP.length, -GAP.length)
}

/** One thing, a member a line. */
export function renderMembers(members: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...members.map(([name]) => name.length))
  return members.map(([name, value]) => `${name.padEnd(width)}${GAP}${shown(value)}\n`).join('')
}

export type Finding = {
  readonly check: string
  readonly ok: boolean
  /** How many are not well; nothing is wrong with what was examined if it is well all the same. */
  readonly count?: number | undefined
  readonly detail: string
}

/** What was examined, a line each. */
export function renderFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  return findings
    .map(
      ({ check, ok, count: found = 0, detail }) =>
        `${ok ? (found > 0 ? 'warn' : 'ok  ') : 'FAIL'}  ${check.padEnd(width)}  ${detail}\n`,
    )
    .join('')
}

function shown(cell: Cell): string {
  if (cell === null || cell === '') return NONE
  return typeof cell === 'number' ? count(cell) : printable(cell)
}

/** Takes what is too much from the columns that wrap, from the widest first. */
function fitted<T>(
  columns: readonly Column<T>[],
  natural: readonly number[],
  width: number | undefined,
): number[] {
  const widths = [...natural]
  if (width === undefined) return widths
  const yielding = columns.flatMap(({ wraps }, i) => (wraps ? [i] : []))
  while (widthOfAll(widths) > width) {
    const widest = yielding.reduce((a, b) => ((widths[b] ?? 0) > (widths[a] ?? 0) ? b : a), -1)
    const before = widths[widest] ?? 0
    if (before <= WRAPPED_CHARS_MIN) break
    widths[widest] = before - 1
  }
  return widths
}

function widthOf(text = ''): number {
  return Bun.stringWidth(text)
}

const CHARS = Object.fromEntries(
  [
    'top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right', 'left', 'left-mid',
    'mid', 'mid-mid', 'right', 'right-mid',
  ].map((name) => [name, '']),
) // biome-ignore format: one row of names
CHARS['middle'] = GAP
