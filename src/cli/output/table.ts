/** Tables for people: columns of text without lines, as wide as the terminal at most. */
import { count } from './format.ts'

export type Cell = string | number | null

export type Column<T> = {
  readonly head: string
  readonly of: (row: T) => Cell
  /** Numbers, to be compared by their length. */
  readonly right?: true
  /** Gives way where the terminal is too narrow. */
  readonly shrinks?: true
}

/** What stands for nothing. */
const NONE = '-'
const GAP = '  '
/** A name of fewer characters says nothing any more. */
const SHRUNK_CHARS_MIN = 8

/** Anyone may have written a text (upstreams name models): none may move the cursor. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd')
}

/** Without a width, as wide as the rows are. */
export async function renderTable<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  width: number | undefined,
): Promise<string> {
  // Loaded here so that commands without tables start without it.
  const { default: Table } = await import('cli-table3')
  const cells = rows.map((row) => columns.map(({ of }) => shown(of(row))))
  const lines = [columns.map(({ head }) => head), ...cells]
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => widthOf(line[i]))))
  const table = new Table({
    chars: CHARS,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    colAligns: columns.map(({ right }) => (right ? 'right' : 'left')),
    colWidths: fitted(columns, widths, width),
  })
  table.push(...lines)
  return table
    .toString()
    .split('\n')
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

/** One thing, a member a line. */
export function renderMembers(members: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...members.map(([name]) => name.length))
  return members.map(([name, value]) => `${name.padEnd(width)}${GAP}${shown(value)}\n`).join('')
}

export type Finding = { readonly check: string; readonly ok: boolean; readonly detail: string }

/** What was examined, a line each. */
export function renderFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  return findings
    .map(({ check, ok, detail }) => `${ok ? 'ok  ' : 'FAIL'}  ${check.padEnd(width)}  ${detail}\n`)
    .join('')
}

function shown(cell: Cell): string {
  if (cell === null || cell === '') return NONE
  return typeof cell === 'number' ? count(cell) : printable(cell)
}

/** Takes what is too much from the columns that give way, from the widest first. */
function fitted<T>(
  columns: readonly Column<T>[],
  natural: readonly number[],
  width: number | undefined,
): number[] {
  const widths = [...natural]
  if (width === undefined) return widths
  const total = () => widths.reduce((sum, one) => sum + one + GAP.length, -GAP.length)
  const yielding = columns.flatMap(({ shrinks }, i) => (shrinks ? [i] : []))
  while (total() > width) {
    const widest = yielding.reduce((a, b) => ((widths[b] ?? 0) > (widths[a] ?? 0) ? b : a), -1)
    const before = widths[widest] ?? 0
    if (before <= SHRUNK_CHARS_MIN) break
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
