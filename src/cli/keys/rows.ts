/** The files of `quota-proxy keys import`, as bodies of `POST /admin/keys` with their lines. */
import { parseCsv } from '../../lib/text/csv.ts'
import { parseJson } from '../input.ts'
import { Misuse } from '../session.ts'
import { parseReserveMax } from './fields.ts'

export type Row = {
  /** Of a CSV file, its line; of JSON, which entry it is. Both begin at 1. */
  readonly line: number
  readonly body: Readonly<Record<string, unknown>>
}

const TEXTS = ['name', 'window', 'timezone', 'week_start', 'expires_at', 'prefix', 'key']
const NUMBERS = ['quota', 'concurrency']
/** In one cell, with semicolons. */
const LISTS = ['tags', 'upstreams', 'methods', 'paths', 'models', 'ip_allow']
const COLUMNS = [...TEXTS, ...NUMBERS, ...LISTS, 'enabled', 'reserve_max']

export function readRows(text: string, path: string): Row[] {
  return /^\s*[[{]/.test(text) ? jsonRows(text, path) : csvRows(text, path)
}

function jsonRows(text: string, path: string): Row[] {
  const value = parseJson(text, path)
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.map((entry, i) => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
      throw new Misuse(`Entry ${i + 1} of ${path} is not a JSON object.`)
    return { line: i + 1, body: { ...entry } }
  })
}

function csvRows(text: string, path: string): Row[] {
  const rows = parseCsv(text)
  if (!rows) throw new Misuse(`${path} is not valid CSV: a quote is not closed, or out of place.`)
  const [head, ...rest] = rows
  const names = head?.cells.map((cell) => cell.trim()) ?? []
  const unknown = names.filter((name) => !COLUMNS.includes(name))
  if (!names.includes('name') || !names.includes('quota') || unknown.length > 0) {
    throw new Misuse(
      `The first line of ${path} must name the columns: name and quota, and perhaps ${COLUMNS.filter((name) => name !== 'name' && name !== 'quota').join(', ')}.`,
    )
  }
  return rest.map(({ line, cells }) => {
    if (cells.length > names.length)
      throw new Misuse(`Line ${line} of ${path} has more cells than the first line.`)
    const given = names.flatMap((name, i) => {
      const cell = cells[i]?.trim() ?? ''
      return cell === '' ? [] : [[name, readCell(name, cell)] as const]
    })
    return { line, body: Object.fromEntries(given) }
  })
}

/** What cannot be read stays text, for the server to say what is wrong with it. */
function readCell(name: string, cell: string): unknown {
  if (LISTS.includes(name)) return cell.split(';').map((entry) => entry.trim())
  if (NUMBERS.includes(name)) {
    if (cell === 'unlimited') return null
    return /^\d{1,16}$/.test(cell) ? Number(cell) : cell
  }
  if (name === 'reserve_max') return parseReserveMax(cell) ?? cell
  if (name === 'enabled') return cell === 'true' ? true : cell === 'false' ? false : cell
  return cell
}
