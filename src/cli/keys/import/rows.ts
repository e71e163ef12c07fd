/** The files of `quota-proxy keys import`, as bodies of `POST /admin/keys` with their lines. */
import { parseCsv } from '../../../lib/text/csv.ts'
import { NOTHING, parseJson } from '../../input.ts'
import { Misuse } from '../../session.ts'
import { expiryOf, parseReserveMax } from '../fields.ts'
import { parseAmount } from '../limit.ts'

export type Row = {
  /** Of a CSV file, its line; of JSON, which entry it is. Both begin at 1. */
  readonly line: number
  readonly body: Readonly<Record<string, unknown>>
}

const TEXTS = ['name', 'window', 'timezone', 'week_start', 'prefix', 'key']
const NUMBERS = ['quota', 'concurrency']
/** In one cell, with semicolons. */
const LISTS = ['tags', 'upstreams', 'methods', 'paths', 'models', 'ip_allow']
const COLUMNS = [...TEXTS, 'expires_at', ...NUMBERS, ...LISTS, 'enabled', 'reserve_max']

/** A column of a further limit, whose cells hold amounts: `limit:tokens/day`, or with a name `limit:big:tokens/day`. */
const LIMIT_COLUMN =
  /^limit:(?:(?<name>[a-z0-9-]+):)?(?<unit>[a-z]+)\/(?<window>[a-z]+)(?:@(?<timezone>[A-Za-z0-9_+/-]+))?$/

/** A day in a cell begins in `zone`. */
export function readRows(text: string, path: string, zone: string): Row[] {
  return /^\s*[[{]/.test(text) ? jsonRows(text, path) : csvRows(text, path, zone)
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

function csvRows(text: string, path: string, zone: string): Row[] {
  const rows = parseCsv(text)
  if (!rows) throw new Misuse(`${path} is not valid CSV: a quote is not closed, or out of place.`)
  const [head, ...rest] = rows
  const names = head?.cells.map((cell) => cell.trim()) ?? []
  checkColumns(names, path)
  return rest.map(({ line, cells }) => {
    if (cells.length > names.length)
      throw new Misuse(`Line ${line} of ${path} has more cells than the first line.`)
    const given = names.flatMap((name, i) => {
      const cell = cells[i]?.trim() ?? ''
      return cell === '' ? [] : [[name, cell] as const]
    })
    return { line, body: bodyOfCells(given, zone) }
  })
}

/** Names what is wrong, and only then all that may be. */
function checkColumns(names: readonly string[], path: string): void {
  const isColumn = (name: string) => COLUMNS.includes(name) || LIMIT_COLUMN.test(name)
  const unknown = names.filter((name) => !isColumn(name))
  const twice = names.filter((name, i) => names.indexOf(name) !== i)
  const missing = ['name', 'quota'].filter((name) => !names.includes(name))
  const problems = [
    ...(unknown.length > 0 ? [`does not know ${listOf(unknown)}`] : []),
    ...(twice.length > 0 ? [`has ${listOf(twice)} twice`] : []),
    ...(missing.length > 0 ? [`lacks ${listOf(missing)}`] : []),
  ]
  if (problems.length === 0) return
  const optional = COLUMNS.filter((name) => name !== 'name' && name !== 'quota').join(', ')
  const hint =
    names.length === 1 && /[;\t]/.test(names[0] ?? '') ? ' Separate the cells with commas.' : ''
  throw new Misuse(
    `The first line of ${path} must name the columns, and it ${problems.join(', and it ')}.${hint} The columns are name and quota, and perhaps ${optional}, and limits such as limit:tokens/day.`,
  )
}

function listOf(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ')
}

function bodyOfCells(given: readonly (readonly [string, string])[], zone: string): Row['body'] {
  const body: Record<string, unknown> = {}
  const limits: unknown[] = []
  for (const [name, cell] of given) {
    const limit = LIMIT_COLUMN.exec(name)?.groups
    if (!limit) body[name] = readCell(name, cell, zone)
    // A key without this limit, of the others that have it.
    else if (cell !== '-')
      limits.push({ ...withoutGaps(limit), amount: amountOf(limit['unit'], cell) })
  }
  return limits.length > 0 ? { ...body, limits } : body
}

/** What cannot be read stays text, for the server to say what is wrong with it. */
function amountOf(unit: string | undefined, cell: string): unknown {
  const amount = parseAmount(unit, cell)
  return amount === undefined ? cell : amount
}

function withoutGaps(groups: Readonly<Record<string, string | undefined>>) {
  return Object.fromEntries(Object.entries(groups).filter(([, value]) => value !== undefined))
}

function readCell(name: string, cell: string, zone: string): unknown {
  if (LISTS.includes(name)) return cell.split(';').map((entry) => entry.trim())
  if (NUMBERS.includes(name)) return amountOf('requests', cell)
  if (name === 'enabled') return cell === 'true' || (cell === 'false' ? false : cell)
  if (name === 'reserve_max') return parseReserveMax(cell) ?? cell
  if (name !== 'expires_at') return cell
  const instant = expiryOf(cell, zone)
  return instant === NOTHING ? null : (instant ?? cell)
}
