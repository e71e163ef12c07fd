/**
 * Every way in which some server could read the path of a request, and spellings that are made to be read otherwise than
 * they look. Nothing of the configurations that are tested with it is used here.
 */
import fc from 'fast-check'

export const CLOSED = ['admin', 'metrics', 'swagger'] as const

/** As often as a path may be decoded, one server behind the other. */
const DECODED_MAX = 4

/** What the first segment of `target` is to anybody who reads it in good faith, in lower case. */
export function firstSegments(target: string): Set<string> {
  const found = new Set<string>()
  const choices = [true, false]
  let text = target.replace(/\?.*/s, '')
  for (let times = 0; times <= DECODED_MAX; times++) {
    for (const backslash of choices)
      for (const parameters of choices)
        for (const merged of choices) {
          const first = resolved(text, backslash, parameters, merged)
          found.add(first.toLowerCase())
          found.add(decoded(first).toLowerCase())
        }
    text = decoded(text)
  }
  return found
}

function resolved(text: string, backslash: boolean, parameters: boolean, merged: boolean): string {
  const path = backslash ? text.replaceAll('\\', '/') : text
  const kept: string[] = []
  for (const segment of path
    .replace(/[?#].*/s, '')
    .split('/')
    .slice(1)) {
    const name = parameters ? segment.replace(/;.*/s, '') : segment
    if (name === '..') kept.pop()
    else if (name !== '.' && !(merged && name === '')) kept.push(name)
  }
  return kept.find((name) => name !== '') ?? ''
}

/** One byte a character: what the bytes mean is not asked. */
function decoded(text: string): string {
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

const PIECES = [
  ...['/', '/', '/', '..', '..', '.', ';', ';x=1', '\\', '?', 'u', 'api', 'v1', 'me', 'x', 'keys', '%'],
  ...CLOSED,
  ...CLOSED.map((word) => `/${word}/`),
] // biome-ignore format: a table

/** Targets of requests; each `%` in them begins an escape. */
export const spellings: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 9 }),
    fc.constantFrom(0, 0, 10, 30, 80),
    fc.infiniteStream(fc.nat(99)),
  )
  .map(([pieces, percent, chances]) => {
    const chance = () => chances.next().value as number
    const text = [...pieces.join('')].map((char) => spelled(char, percent, chance, 0)).join('')
    return `/${text}`
  })

function spelled(char: string, percent: number, chance: () => number, depth: number): string {
  const mustEncode = char === '%' && depth === 0
  if (!mustEncode && (depth > 2 || chance() >= percent))
    return depth === 0 && chance() < 20 ? char.toUpperCase() : char
  const hex = char.charCodeAt(0).toString(16).padStart(2, '0')
  const code = `%${chance() < 50 ? hex : hex.toUpperCase()}`
  if (chance() >= 40) return code
  // The characters of the escape in code as well. The outermost `%` stays one, or it would be none.
  const [, ...digits] = [...code]
  return ['%25', ...digits.map((digit) => spelled(digit, 20, chance, depth + 1))].join('')
}
