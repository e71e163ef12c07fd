/** Turns the JSON values of one answer into what it reports. Pure; takes any value at all and never throws. */
import { own, REPORT as PARTS, readUsage } from '../report.ts'
import type { Reported } from '../usage.ts'

export type Reading = {
  /** Takes each JSON value of the answer in order, whole or only its members in `REPORT`. */
  take(value: unknown): void
  usage(): Reported
  failed(): boolean
}

/** All that is looked for in an answer, of which most may be something else. */
export const REPORT = { ...PARTS, error: true, type: true } as const

/** Names of members that make one of the many events of a stream worth reading. */
export const SIGNS = ['usage', 'prompt_eval_count', 'eval_count', 'error'] as const

export function createReading(): Reading {
  let usage: Reported = {}
  let failed = false
  return {
    take(value) {
      const model = own(value, 'model')
      if (typeof model === 'string' && model !== '') usage = { ...usage, model }
      usage = { ...usage, ...readUsage(value) }
      failed ||= (own(value, 'error') ?? null) !== null || own(value, 'type') === 'error'
    },
    usage: () => usage,
    failed: () => failed,
  }
}
