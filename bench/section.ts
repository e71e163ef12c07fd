/** What every part of the benchmark is given, and what it gives back for the report. */
import type { Verdict } from './bars.ts'
import type { Dataset, Size } from './data/dataset.ts'
import type { Server, Workspace } from './workspace.ts'

export type Settings = {
  readonly rounds: number
  readonly seconds: number
  /** The largest database of each kind. */
  readonly keys: number
  readonly calls: number
  readonly starts: number
  /** Whether peers that are not on this machine are installed for the run. */
  readonly peers: boolean
}

export type Bench = {
  readonly workspace: Workspace
  readonly upstream: Server
  readonly settings: Settings
  /** Made when it is first asked for. */
  dataset(size: Size): Promise<Dataset>
  say(line: string): void
}

export type Section = {
  readonly title: string
  readonly markdown: string
  readonly verdicts: readonly Verdict[]
  /** Files by name; the markdown shows them. */
  readonly charts: Readonly<Record<string, string>>
}
