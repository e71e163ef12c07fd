/** What a database holds, in few figures: two states that differ are surely two, and comparing the rows tells the rest. */
import { VERSION } from '../../lib/process/version.ts'
import type { Reader } from './ports.ts'
import { TABLES } from './tables.ts'

export type State = {
  /** To be compared. With the version: another one may read the same rows differently. */
  readonly text: string
  readonly tables: Readonly<Record<string, readonly string[]>>
}

export async function stateOf(reader: Reader): Promise<State> {
  const tables: Record<string, readonly string[]> = {}
  for (const table of TABLES) tables[table.name] = await reader.figures(table)
  return { text: JSON.stringify([VERSION, tables]), tables }
}
