/**
 * Recognises names of members where they stand in a JSON text, escaped or not, without building a string of any: a text
 * may have a million of them. Pure.
 */
import { afterCharacter, characterAt } from './string.ts'

/** Whether the string between the quotes at `start` and before `end` is this one. */
export function isNamed(json: string, start: number, end: number, name: string): boolean {
  let length = 0
  for (let at = start + 1; at < end - 1; at = afterCharacter(json, at)) {
    if (length === name.length || characterAt(json, at) !== name.charCodeAt(length++)) return false
  }
  return length === name.length
}

/** No name of the list. */
const NONE = -1
/** A name of the list, but in another case. */
export const ALIKE = -2

const ASCII = 0x80

/**
 * Whatever becomes ASCII letters by `toUpperCase` and `toLowerCase`, without being ASCII: ſ is an s in upper case, the
 * Kelvin sign a k in lower case.
 */
const LETTERS = new Map(
  Object.entries({
    ...{ '\u00df': 'ss', '\u0131': 'i', '\u017f': 's', '\u212a': 'k' },
    ...{ '\ufb00': 'ff', '\ufb01': 'fi', '\ufb02': 'fl', '\ufb03': 'ffi', '\ufb04': 'ffl' },
    ...{ '\ufb05': 'st', '\ufb06': 'st' },
  }).map(([char, letters]) => [char.charCodeAt(0), letters]),
)

/** Which name of the list a string is, if it is one. The list is of ASCII without capitals. */
export function recogniser(names: readonly string[]) {
  // A tree: one row for each beginning of a name, which leads by the next letter to the row of the longer beginning.
  const rows = new Uint16Array(ASCII * (names.join('').length + 1))
  const ends = new Int16Array(rows.length / ASCII).fill(NONE)
  const step = (row: number, code: number) => (code < ASCII ? (rows[row * ASCII + code] ?? 0) : 0)
  let used = 0
  for (const [which, name] of names.entries()) {
    let row = 0
    for (const char of name) {
      const code = char.charCodeAt(0)
      if (step(row, code) === 0) rows[row * ASCII + code] = ++used
      row = step(row, code)
    }
    ends[row] = which
  }

  /** The row that the letters of a character lead to that is not itself the next; 0 if none. */
  function fold(row: number, code: number): number {
    if (code < ASCII) return isCapital(code) ? step(row, code | 0x20) : 0
    let longer = row
    for (const letter of LETTERS.get(code) ?? '\0') {
      longer = step(longer, letter.charCodeAt(0))
      if (longer === 0) return 0
    }
    return longer
  }

  return (json: string, start: number, end: number): number => {
    let row = 0
    let exact = true
    for (let at = start + 1; at < end - 1; at = afterCharacter(json, at)) {
      const code = characterAt(json, at)
      let longer = step(row, code)
      if (longer === 0) {
        exact = false
        longer = fold(row, code)
        if (longer === 0) return NONE
      }
      row = longer
    }
    const which = ends[row] ?? NONE
    return exact || which === NONE ? which : ALIKE
  }
}

function isCapital(code: number): boolean {
  return code >= 0x41 && code <= 0x5a
}
