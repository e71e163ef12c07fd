/** Reads and writes CSV (RFC 4180). Pure. */

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

/** One row with its line end. */
export function csvRow(cells: readonly (string | number | null)[]): string {
  return `${cells.map(quoted).join(',')}\r\n`
}

/** By which Excel knows that a file is UTF-8. */
export const SHEET_MARK = '\ufeff'

/** A row for spreadsheets, which take a text that begins so for a formula and run it (OWASP, CSV injection). */
export function sheetRow(cells: readonly (string | number | null)[]): string {
  return csvRow(
    cells.map((cell) =>
      typeof cell === 'string' && /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell,
    ),
  )
}

function quoted(cell: string | number | null): string {
  const text = cell === null ? '' : String(cell)
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
