/** Reads and writes CSV (RFC 4180; lines for other programs end as those of a shell do). Pure. */

export type CsvRow = {
  /** The line that it begins on, counted from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

/**
 * Null if a quote is not closed, or stands where none may. Skips empty lines and a byte order mark.
 */
export function parseCsv(text: string): CsvRow[] | null {
  // One cell and its end. The cell is plain, or quoted with "" for a quote.
  const cell = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y
  const body = text.replace(/^\ufeff/, '')
  const rows: CsvRow[] = []
  let cells: string[] = []
  let line = 1
  let begun = 1
  while (cell.lastIndex < body.length || cells.length > 0) {
    const found = cell.exec(body)
    if (!found) return null
    const [all, quoted, plain = '', end] = found
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    line += all.split('\n').length - 1
    if (end === ',') continue
    if (cells.length > 1 || cells[0] !== '' || quoted !== undefined)
      rows.push({ line: begun, cells })
    cells = []
    begun = line
  }
  return rows
}

type Cells = readonly (string | number | null)[]

/** One row without its line end. */
export function csvRow(cells: Cells): string {
  return cells.map(quoted).join(',')
}

/** By which Excel knows that a file is UTF-8. */
const SHEET_MARK = '\ufeff'

/**
 * Returns a function that writes the rows of one file, the first of which is its head. `isMarked` is for Excel: a mark, and
 * the line ends of RFC 4180. Otherwise `cut` and its like would take a carriage return for a part of the last cell.
 */
export function sheetWriter(isMarked: boolean): (cells: Cells) => string {
  let mark = isMarked ? SHEET_MARK : ''
  return (cells) => {
    const row = `${mark}${csvRow(cells.map(harmless))}${isMarked ? '\r\n' : '\n'}`
    mark = ''
    return row
  }
}

/** Spreadsheets take a text that begins so for a formula, and run it (OWASP, CSV injection). */
function harmless(cell: Cells[number]): Cells[number] {
  return typeof cell === 'string' && /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell
}

function quoted(cell: string | number | null): string {
  const text = cell === null ? '' : String(cell)
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
