/** What every part of the benchmark is given, and what it gives back for the report. */
import type { Dataset, Size } from './data/dataset.ts'
import type { Spread } from './report/statistics.ts'
import { withSpread } from './report/table.ts'
import type { Server, Workspace } from './workspace.ts'

export type Settings = {
  readonly rounds: number
  readonly seconds: number
  /** The largest database of each kind. */
  readonly keys: number
  readonly calls: number
  readonly starts: number
}

export type Bench = {
  readonly workspace: Workspace
  readonly upstream: Server
  readonly settings: Settings
  /** Made when it is first asked for. */
  dataset(size: Size): Promise<Dataset>
  say(line: string): void
}

/** A figure that the design promises, and what it turned out to be. */
export type Goal = {
  readonly what: string
  readonly target: string
  readonly value: string
  readonly met: boolean
}

export type Section = {
  readonly title: string
  readonly markdown: string
  readonly goals: readonly Goal[]
  /** Files by name; the markdown shows them. */
  readonly charts: Readonly<Record<string, string>>
}

/** `limit` and the value are in `unit`; the median decides. */
export function goal(what: string, limit: number, value: Spread, unit: string, digits = 2): Goal {
  return {
    what,
    target: `≤ ${limit}${unit}`,
    value: `${withSpread(value, digits)}${unit}`,
    met: value.median <= limit,
  }
}
