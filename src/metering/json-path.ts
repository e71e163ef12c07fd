/**
 * Reads one number of a JSON answer by a small part of JSONPath (RFC 9535): `$`, members as `.name` or `['name']`, and
 * items as `[0]`. No wildcards, filters or scripts: they would name many numbers, or run somebody's code.
 */
import { own } from './report.ts'

const STEP = /\.([^\s.[\]'"]+)|\[(\d{1,9})\]|\['([^']+)'\]/y

/** Rounded up to whole units; null if there is no such number, or it is negative or past what is exact. */
export function readNumber(json: unknown, path: string): number | null {
  const way = steps(path)
  if (!way) return null
  let value = json
  for (const step of way) {
    // RFC 9535 section 2.3: names select members of objects, indexes items of arrays.
    value = Array.isArray(value) === (typeof step === 'number') ? own(value, `${step}`) : undefined
  }
  if (typeof value !== 'number' || !(value >= 0)) return null
  const units = Math.ceil(value)
  return Number.isSafeInteger(units) ? units : null
}

function steps(path: string): (string | number)[] | null {
  const found: (string | number)[] = []
  let at = 1
  while (at < path.length) {
    STEP.lastIndex = at
    const [step, name, index, quoted] = STEP.exec(path) ?? []
    if (step === undefined) return null
    found.push(index === undefined ? (name ?? quoted ?? '') : Number(index))
    at += step.length
  }
  return path.startsWith('$') && found.length > 0 ? found : null
}
