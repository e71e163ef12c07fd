/**
 * Stands in for `dialects/` until the taps read by it: what one value of an answer reports.
 */
import { createReading } from './dialects/reading.ts'
import type { Reported } from './usage.ts'

export { own } from '../lib/json/object.ts'
export { count } from './count.ts'
export { REPORT } from './dialects/table.ts'

/** Null if the value reports nothing. */
export function readUsage(json: unknown): Reported | null {
  const reading = createReading()
  reading.take(json)
  const { model, ...amounts } = reading.usage()
  if (Object.keys(amounts).length === 0) return null
  return model === undefined ? amounts : { ...amounts, model }
}
