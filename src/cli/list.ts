/** Lists of the admin API, page by page: as one JSON array for machines, as tables for people. */
import { InvalidArgumentError } from 'commander'
import { type Admin, ask, STRANGER } from './admin.ts'
import type { Session } from './program.ts'
import { type Column, renderTable } from './table.ts'

/** The largest page that the API gives. */
const PAGE_MAX = 100

/** A table is laid out in one piece, and its rows are in memory until then: a longer list is several tables. */
const TABLE_ROWS_MAX = 1_000

export type Query = Readonly<Record<string, string | undefined>>

type Page<T> = { readonly data: readonly T[]; readonly next: string | null }

/** The newest first, at most `most` of them. */
export async function* pages<T>(
  admin: Admin,
  path: string,
  query: Query,
  most = Infinity,
): AsyncGenerator<readonly T[]> {
  let after: string | null = null
  for (let left = most; left > 0; ) {
    const limit = String(Math.min(PAGE_MAX, left))
    const page: Page<T> = await ask(admin, 'GET', withQuery(path, { ...query, limit, after }))
    if (!Array.isArray(page.data)) throw new Error(STRANGER)
    yield page.data
    left -= page.data.length
    after = page.next
    if (after === null) return
  }
}

export function withQuery(
  path: string,
  query: Readonly<Record<string, string | null | undefined>>,
): string {
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value) given.set(name, value)
  return given.size === 0 ? path : `${path}?${given}`
}

/** Writes as it reads, so that no list is too long for it; what was written stays if the rest cannot be had. */
export async function printArray<T>(
  { io }: Session,
  found: AsyncIterable<readonly T[]>,
): Promise<void> {
  let separator = '['
  for await (const rows of found) {
    const text = rows.map((row) => {
      const line = `${separator}\n${JSON.stringify(row)}`
      separator = ','
      return line
    })
    if (text.length === 0) continue
    io.out(text.join(''))
    await io.flush?.()
  }
  io.out(separator === '[' ? '[]\n' : '\n]\n')
}

export async function printTable<T>(
  { io }: Session,
  found: AsyncIterable<readonly T[]>,
  columns: readonly Column<T>[],
  none: string,
): Promise<void> {
  const width = process.stdout.isTTY ? process.stdout.columns : undefined
  let waiting: T[] = []
  let isEmpty = true
  const write = async () => {
    if (waiting.length === 0) return
    io.out((isEmpty ? '' : '\n') + (await renderTable(columns, waiting, width)))
    await io.flush?.()
    isEmpty = false
    waiting = []
  }
  for await (const rows of found) {
    waiting.push(...rows)
    if (waiting.length >= TABLE_ROWS_MAX) await write()
  }
  await write()
  if (isEmpty) io.err(`${none}\n`)
}

/** The value of `--limit`. */
export function readLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number from 1.')
}
