/** Tables for people: columns of text without lines, as wide as the terminal at most. */
import type { Session } from '../session.ts'
import { count } from './format.ts'

export type Cell = string | number | null

export type Column<T> = {
  readonly head: string
  readonly of: (row: T) => Cell
  /** Numbers, to be compared by their length. */
  readonly right?: true
  /**
   * Goes on in a second line where the terminal is too narrow. A number is the width that it can be read well in: other
   * columns are left out before it gets narrower.
   */
  readonly wraps?: true | number
  /** Left out before one that wraps is narrower than is good; the highest first. */
  readonly drops?: number
  /** Left out only where no column can get narrower; the highest first. */
  readonly dropsLast?: number
  /** Whether there is nothing to read in this row, although the cell is not empty. */
  readonly blank?: (row: T) => boolean
}

/** A table, and the heads of the columns that there was no room for. */
export type Laid = { readonly text: string; readonly leftOut: readonly string[] }

/** What stands for nothing. */
const NONE = '-'
const GAP = '  '
/** No text is wrapped to less, unless its column says so. */
const WRAPPED_CHARS_MIN = 12
/** Of a terminal that does not say how wide it is. */
const COLUMNS_DEFAULT = 80

/** Anyone may have written a text (upstreams name models): none may move the cursor. */
const UNPRINTABLE = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** What COLUMNS says, or else the terminal. Undefined where nothing bounds it, as in a pipe. */
export function terminalWidth({ env }: Pick<Session, 'env'>): number | undefined {
  const { COLUMNS: asked = '' } = env
  if (/^[1-9]\d{0,4}$/.test(asked)) return Number(asked)
  return process.stdout.isTTY ? process.stdout.columns || COLUMNS_DEFAULT : undefined
}

export function printable(text: string): string {
  return text.replace(UNPRINTABLE, '\ufffd')
}

/** Without a width, as wide as the rows are. */
export async function layTable<T>(
  all: readonly Column<T>[],
  rows: readonly T[],
  width: number | undefined,
): Promise<Laid> {
  // Loaded here so that commands without tables start without it.
  const { default: Table } = await import('cli-table3')
  const { columns, leftOut } = columnsFor(all, rows, width)
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
  const text = table.toString().split('\n')
  return { text: text.map((line) => `${line.trimEnd()}\n`).join(''), leftOut }
}

/**
 * The columns that there is room for, if those that can be wrapped are. Those in which nothing stands go first, and nobody
 * misses them.
 */
function columnsFor<T>(
  all: readonly Column<T>[],
  rows: readonly T[],
  width: number | undefined,
): { readonly columns: readonly Column<T>[]; readonly leftOut: readonly string[] } {
  if (width === undefined || widthOfAll(naturalWidths(all, rows)) <= width)
    return { columns: all, leftOut: [] }
  const filled = all.filter(({ of, blank }) =>
    rows.some((row) => !blank?.(row) && shown(of(row)) !== NONE),
  )
  const wide = roomFor(filled, rows, width, goodWidth, ({ drops = 0 }) => drops)
  const columns = roomFor(wide, rows, width, leastWidth, ({ dropsLast = 0 }) => dropsLast)
  const leftOut = filled.filter((column) => !columns.includes(column))
  return { columns, leftOut: leftOut.map(({ head }) => head) }
}

/** Leaves out columns of the highest rank, and then of the next, until the widths that they need are there. */
function roomFor<T>(
  all: readonly Column<T>[],
  rows: readonly T[],
  width: number,
  need: (column: Column<T>, natural: number) => number,
  rank: (column: Column<T>) => number,
): readonly Column<T>[] {
  let columns = all
  for (;;) {
    const natural = naturalWidths(columns, rows)
    const needed = columns.map((column, i) => need(column, natural[i] ?? 0))
    const first = Math.max(0, ...columns.map(rank))
    if (widthOfAll(needed) <= width || first === 0) return columns
    columns = columns.filter((column) => rank(column) < first)
  }
}

function goodWidth<T>({ wraps }: Column<T>, natural: number): number {
  if (wraps === undefined) return natural
  return Math.min(natural, wraps === true ? WRAPPED_CHARS_MIN : wraps)
}

function leastWidth<T>(column: Column<T>, natural: number): number {
  const good = goodWidth(column, natural)
  return column.wraps === undefined ? good : Math.min(good, WRAPPED_CHARS_MIN)
}

function naturalWidths<T>(columns: readonly Column<T>[], rows: readonly T[]): number[] {
  return columns.map(({ head, of }) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(shown(of(row)))), widthOf(head)),
  )
}

function widthOfAll(widths: readonly number[]): number {
  return widths.reduce((sum, one) => sum + one + GAP.length, -GAP.length)
}

/** What stands in a cell. */
export function shown(cell: Cell): string {
  if (cell === null || cell === '') return NONE
  return typeof cell === 'number' ? count(cell) : printable(cell)
}

/** Takes what is too much from the columns that wrap, from the widest first: down to what is good, and then to the least. */
function fitted<T>(
  columns: readonly Column<T>[],
  natural: readonly number[],
  width: number | undefined,
): number[] {
  const widths = [...natural]
  if (width === undefined) return widths
  for (const bound of [goodWidth, leastWidth]) {
    const least = columns.map((column, i) => bound<T>(column, natural[i] ?? 0))
    while (widthOfAll(widths) > width) {
      const yielding = widths.map((one, i) => (one > (least[i] ?? 0) ? one : 0))
      const widest = Math.max(...yielding)
      if (widest === 0) break
      widths[yielding.indexOf(widest)] = widest - 1
    }
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
