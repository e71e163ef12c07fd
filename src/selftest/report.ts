/** What the self-test found, for people and for programs. Pure. */
import { audit, FAULTS, type Fault, type Violation } from './audit.ts'
import type { CallRecord, Evidence } from './evidence.ts'

export type Report = {
  readonly ok: boolean
  readonly seed: number
  /** Answered or not; what they came to are the next four. */
  readonly calls: number
  readonly granted: number
  readonly refunded: number
  readonly refused: number
  readonly unknown: number
  /** Units by fault; all of them are 0 if every promise was kept. */
  readonly faults: Readonly<Record<Fault, number>>
  /** The first of them in words. */
  readonly violations: readonly string[]
  readonly kills: number
  /** How many servers there were, and how often their database was killed; of a test of replicas only. */
  readonly replicas?: number
  readonly database_kills?: number
  readonly restarts: number
  readonly restart_ms_median: number
  readonly restart_ms_max: number
  readonly seconds: number
  /** Database and logs, kept because something is wrong. */
  readonly directory: string | null
}

/** More than these say nothing new. */
const VIOLATIONS_SHOWN = 20

export type Outcome = {
  readonly evidence: Evidence
  /** How long the later starts took. */
  readonly startsMs: readonly number[]
  /** Why the experiment did not come to its end; null if it did. */
  readonly failure: string | null
  readonly seed: number
  readonly ms: number
  readonly directory: string
  readonly shared?: { readonly replicas: number; readonly database_kills: number }
}

/** Judges what was seen. */
export function reportOf({ evidence, failure, ...outcome }: Outcome): Report {
  const violations = audit(evidence)
  if (failure !== null) violations.unshift({ fault: 'unfinished', units: 1, text: failure })
  const ok = violations.length === 0
  return {
    ok,
    seed: outcome.seed,
    ...countCalls(evidence.calls),
    ...countFaults(violations),
    kills: evidence.killed.size,
    ...outcome.shared,
    ...timeStarts(outcome.startsMs),
    seconds: Math.round(outcome.ms / 100) / 10,
    directory: ok ? null : outcome.directory,
  }
}

export function countCalls(calls: readonly CallRecord[]) {
  const count = { calls: calls.length, granted: 0, refunded: 0, refused: 0, unknown: 0 }
  for (const { answer } of calls) {
    if (answer === null) count.unknown++
    else if (answer.charge === null) count.refused++
    else if (answer.cost > 0) count.granted++
    else count.refunded++
  }
  return count
}

export function countFaults(violations: readonly Violation[]) {
  const faults = Object.fromEntries(Object.keys(FAULTS).map((fault) => [fault, 0])) as Record<
    Fault,
    number
  >
  for (const { fault, units } of violations) faults[fault] += units
  const texts = violations.slice(0, VIOLATIONS_SHOWN).map(({ fault, text }) => `${fault}: ${text}`)
  return { faults, violations: texts }
}

export function timeStarts(ms: readonly number[]) {
  const sorted = ms.toSorted((a, b) => a - b)
  return {
    restarts: sorted.length,
    restart_ms_median: Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0),
    restart_ms_max: Math.round(sorted.at(-1) ?? 0),
  }
}

export function renderReport(report: Report): string {
  const { faults } = report
  const counts: readonly (readonly [string, number, string])[] = [
    ['calls', report.calls, 'made by clients'],
    ['granted', report.granted, 'charged and answered'],
    ['refunded', report.refunded, 'let in, but the upstream failed'],
    ['refused', report.refused, 'because the quota was used up or reserved, or the key revoked'],
    ['unknown', report.unknown, 'in flight when the server was killed'],
    ['restarts', report.restarts, `after ${report.kills} kills, median ${report.restart_ms_median} ms, longest ${report.restart_ms_max} ms`],
    ...(report.database_kills === undefined ? [] : [['database', report.database_kills, 'times killed under load'] as const]),
    ...Object.entries(FAULTS).map(([fault, text]) => [fault, faults[fault as Fault], text] as const),
  ] // biome-ignore format: a table
  const lines = counts.map(
    ([name, n, text]) => `${name.padEnd(12)}${n.toLocaleString('en').padStart(10)}  ${text}\n`,
  )
  const { ok, seconds, seed, directory, violations } = report
  const verdict = ok
    ? `Every promise was kept, in ${seconds} s (seed ${seed}).\n`
    : `Promises were broken, in ${seconds} s (seed ${seed}). ${
        report.replicas === undefined
          ? `Database and logs are in ${directory}`
          : `The database was left as it is, and logs are in ${directory}`
      }\n`
  return `${lines.join('')}\n${violations.map((line) => `  - ${line}\n`).join('')}${verdict}`
}
