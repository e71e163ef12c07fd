/**
 * Reads one number of a JSON answer by a small part of JSONPath (RFC 9535): `$`, members as `.name` or `['name']`, and
 * items as `[0]`. No wildcards, filters or scripts: they would name many numbers, or run somebody's code.
 */
import { childText } from '../../lib/json/member.ts'

const STEP = /\.([^\s.[\]'"]+)|\[(\d{1,9})\]|\['([^']+)'\]/y

/** Rounded up to whole units; null if there is no such number, or it is negative or past what is exact. */
export function readNumber(json: string, path: string): number | null {
  // RFC 9535 section 2.3: names select members of objects, indexes items of arrays.
  const text = steps(path)?.reduce<string | null>(
    (value, step) => value && childText(value, step),
    json,
  )
  // Only a number begins so, and only a number is worth being built.
  if (!text || !/^[-\d]/.test(text)) return null
  const value: number = JSON.parse(text)
  const units = Math.ceil(value)
  return value >= 0 && Number.isSafeInteger(units) ? units : null
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
