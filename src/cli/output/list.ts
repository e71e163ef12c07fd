/** Lists in pieces, as they are read: as one JSON array for machines, as tables for people. */
import type { Session } from '../session.ts'
import { leftOutNote } from './lines.ts'
import { type Column, layTable, terminalWidth } from './table.ts'

/** A list in pieces, of which more than one need not be in memory. */
export type Found<T> = AsyncIterable<readonly T[]> | Iterable<readonly T[]>

/** The rows of a table are in memory until it is laid out: a longer list is several tables. */
const TABLE_ROWS_MAX = 1_000

export function asJson(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`
}

/** Writes as it reads: no list is too long, and what was written stays if the rest fails. */
export async function printArray<T>({ io }: Session, found: Found<T>): Promise<void> {
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

/** What goes to standard output, and a note about it for standard error. */
export type Rendered = { readonly text: string; readonly note: string }

export async function renderTable<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  width: number | undefined,
): Promise<Rendered> {
  const { text, leftOut } = await layTable(columns, rows, width)
  return { text, note: leftOutNote(leftOut, width) }
}

export async function printTable<T>(
  { env, io }: Session,
  found: Found<T>,
  columns: readonly Column<T>[],
  none: string,
): Promise<void> {
  const width = terminalWidth({ env })
  let waiting: T[] = []
  let isEmpty = true
  const leftOut = new Set<string>()
  const write = async () => {
    if (waiting.length === 0) return
    const laid = await layTable(columns, waiting, width)
    for (const head of laid.leftOut) leftOut.add(head)
    io.out((isEmpty ? '' : '\n') + laid.text)
    await io.flush?.()
    isEmpty = false
    waiting = []
  }
  for await (const rows of found) {
    waiting.push(...rows)
    if (waiting.length >= TABLE_ROWS_MAX) await write()
  }
  await write()
  if (isEmpty && none !== '') io.err(`${none}\n`)
  if (leftOut.size > 0) io.err(leftOutNote(leftOut, width))
}
