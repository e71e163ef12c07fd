/** The work of a move: the rows of one side are written to the other, and then both are read and compared. */
import { createDigester, type Digest } from './digest.ts'
import type { Copy, Cursor, Page, Progress, Reader } from './ports.ts'
import { TABLES, type Table, tableNamed } from './tables.ts'

/** Told how far the work is. `begin` may be called again, for the next part of it. */
export type Watch = {
  begin(what: 'rows copied' | 'rows compared', total: number): void
  step(rows: number): void
}

export type Compared = {
  readonly name: string
  readonly same: boolean
  readonly from: Digest
  readonly to: Digest
}

type Counts = readonly { readonly name: string; readonly rows: number }[]

export async function copyRows(
  source: Reader,
  copy: Copy,
  tables: Counts,
  watch: Watch,
): Promise<void> {
  watch.begin('rows copied', totalOf(tables))
  const { table: begun, after: cursor } = copy.progress
  const first = begun === null ? TABLES.length : TABLES.indexOf(tableNamed(begun))
  for (const table of TABLES.slice(0, first + 1)) watch.step(await rowsOf(copy.reader, table))
  for (const [i, table] of TABLES.entries()) {
    if (i < first) continue
    let after: Cursor | null = i === first ? cursor : null
    do {
      const page: Page = await source.page(table, after)
      await copy.write(table, page.rows, goesOn(table, TABLES[i + 1], page.next))
      watch.step(page.rows.length)
      after = page.next
    } while (after !== null)
  }
}

/** A copy that has all rows goes on with none. */
function goesOn(table: Table, next: Table | undefined, after: Cursor | null): Progress {
  return after === null ? { table: next?.name ?? null, after } : { table: table.name, after }
}

export async function compareRows(
  source: Reader,
  target: Reader,
  tables: Counts,
  watch: Watch,
): Promise<{ readonly same: boolean; readonly tables: readonly Compared[] }> {
  watch.begin('rows compared', totalOf(tables) * 2)
  const compared: Compared[] = []
  for (const table of TABLES) {
    const from = await digestOf(source, table, watch)
    const to = await digestOf(target, table, watch)
    const same = from.rows === to.rows && from.hash === to.hash
    compared.push({ name: table.name, same, from, to })
  }
  return { same: compared.every(({ same }) => same), tables: compared }
}

async function digestOf(reader: Reader, table: Table, watch: Watch): Promise<Digest> {
  const digester = createDigester(table)
  let after: Cursor | null = null
  do {
    const page: Page = await reader.page(table, after)
    for (const row of page.rows) digester.add(row)
    watch.step(page.rows.length)
    after = page.next
  } while (after !== null)
  return digester.digest()
}

async function rowsOf(reader: Reader, table: Table): Promise<number> {
  return Number((await reader.figures(table))[0] ?? 0)
}

function totalOf(tables: Counts): number {
  return tables.reduce((sum, { rows }) => sum + rows, 0)
}
