/** What the reports have in common: the range of time that they are about, and CSV for spreadsheets. */
import { isTimeZone } from '../../domain/limit.ts'
import { systemClock } from '../../lib/clock.ts'
import { sheetWriter } from '../../lib/text/csv.ts'
import type { CliCommand, JsonOption } from '../command.ts'
import { instantOf } from '../instant.ts'
import type { Found } from '../output/list.ts'
import { Misuse, type Session } from '../session.ts'

export type ReportOptions = JsonOption & {
  readonly from?: string
  readonly to?: string
  readonly csv?: boolean
  readonly bom?: boolean
}

/** The name of a column, and its cell. */
export type SheetColumn<T> = readonly [string, (row: T) => string | number | null]

/** How it is printed. */
export function reportForms(command: CliCommand): CliCommand {
  return command
    .option('--csv', 'print CSV')
    .option('--bom', 'with --csv: for Excel, with its mark for UTF-8 and its line ends')
    .json()
}

/** Throws Misuse. */
export function checkForms({ json, csv, bom }: ReportOptions): void {
  if (json && csv) throw new Misuse('Choose one of --json and --csv.')
  if (bom && !csv) throw new Misuse('--bom is for --csv.')
}

/** The options `--from` and `--to` as the API takes them, where a day begins in `zone`. Throws Misuse. */
export function rangeOf({ from, to }: ReportOptions, zone: string) {
  // A zone that is none is for the API to refuse.
  const known = isTimeZone(zone) ? zone : 'UTC'
  return { from: readSince(from, known), to: readSince(to, known) }
}

function readSince(text: string | undefined, zone: string): string | undefined {
  if (text === undefined) return undefined
  const instant = instantOf(text, { now: systemClock(), zone, goes: -1 })
  if (instant !== null) return instant
  throw new Misuse(
    `"${text}" is no time: give a day such as 2026-11-01, an instant such as 2026-11-01T00:00:00Z, or so long ago as in 7d or 12h.`,
  )
}

export async function printSheet<T>(
  { io }: Session,
  { bom }: ReportOptions,
  found: Found<T>,
  columns: readonly SheetColumn<T>[],
): Promise<void> {
  const write = sheetWriter(bom === true)
  io.out(write(columns.map(([name]) => name)))
  for await (const rows of found) {
    io.out(rows.map((row) => write(columns.map(([, of]) => of(row)))).join(''))
    await io.flush?.()
  }
}
