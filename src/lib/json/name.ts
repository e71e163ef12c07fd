/**
 * Recognises names of members in a JSON text, escaped or not, without building any string: a text
 * may have a million names. Pure.
 */
import { afterCharacter, characterAt } from './string.ts'

/** Whether the string from the quote at `start` to the quote before `end` is this name. */
export function isNamed(json: string, start: number, end: number, name: string): boolean {
  let length = 0
  for (let at = start + 1; at < end - 1; at = afterCharacter(json, at)) {
    if (length === name.length || characterAt(json, at) !== name.charCodeAt(length++)) return false
  }
  return length === name.length
}

/** The string is no name of the list. */
const NONE = -1
/** The string is a name of the list in another case. */
export const ALIKE = -2

const ASCII = 0x80

/**
 * Characters that `toUpperCase` or `toLowerCase` turns into ASCII letters, without being ASCII: ſ
 * becomes S, the Kelvin sign becomes k.
 */
const LETTERS = new Map(
  Object.entries({
    ...{ '\u00df': 'ss', '\u0131': 'i', '\u017f': 's', '\u212a': 'k' },
    ...{ '\ufb00': 'ff', '\ufb01': 'fi', '\ufb02': 'fl', '\ufb03': 'ffi', '\ufb04': 'ffl' },
    ...{ '\ufb05': 'st', '\ufb06': 'st' },
  }).map(([char, letters]) => [char.charCodeAt(0), letters]),
)

/**
 * Returns a function that says which name of the list a string is, if any. The list is ASCII
 * without capitals.
 */
export function recogniser(names: readonly string[]) {
  // A tree: each beginning of a name has a row, which leads by the next letter to the row of the
  // longer beginning.
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

  /**
   * Follows the letters that a character stands for in another case; 0 if no name goes on with
   * them.
   */
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
