/** Finds the end of a JSON string, and reads its escapes (RFC 8259 section 7). Pure. */

/** What a string cannot hold unescaped. The native search pays off from so many characters on. */
const SPECIAL = /["\\\u0000-\u001f]/g
const SHORT = 24

const QUOTE = 0x22
const BACKSLASH = 0x5c
const LETTER_U = 0x75
/** By the character after the backslash, except `u`. */
const ESCAPES = new Uint8Array(0x80)
for (const [letter, value] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  ESCAPES[code(letter)] = code(value)
}

function code(char = ''): number {
  return char.charCodeAt(0)
}

/** The index after the closing quote if the quote at `start` opens a string, else -1. */
export function stringEnd(json: string, start: number): number {
  let at = start + 1
  let short = at + SHORT
  while (at < json.length) {
    if (at === short) {
      SPECIAL.lastIndex = at
      if (!SPECIAL.test(json)) return -1
      at = SPECIAL.lastIndex - 1
    }
    const char = json.charCodeAt(at)
    if (char === QUOTE) return at + 1
    if (char < 0x20) return -1
    if (char === BACKSLASH) {
      if (escapedAt(json, at) < 0) return -1
      at = afterCharacter(json, at)
      short = at + SHORT
    } else at++
  }
  return -1
}

/** The code of the character at `at`, which may be written as an escape. */
export function characterAt(json: string, at: number): number {
  const char = json.charCodeAt(at)
  return char === BACKSLASH ? escapedAt(json, at) : char
}

/** The code that an escape stands for; negative if there is no such escape. */
function escapedAt(json: string, at: number): number {
  const letter = codeAt(json, at + 1)
  if (letter === LETTER_U) {
    return (
      (digitAt(json, at + 2) << 12) |
      (digitAt(json, at + 3) << 8) |
      (digitAt(json, at + 4) << 4) |
      digitAt(json, at + 5)
    )
  }
  return (letter < ESCAPES.length && ESCAPES[letter]) || -1
}

/** The index of the next character of a string. */
export function afterCharacter(json: string, at: number): number {
  if (json.charCodeAt(at) !== BACKSLASH) return at + 1
  return codeAt(json, at + 1) === LETTER_U ? at + 6 : at + 2
}

/** -1 if there is no hexadecimal digit at `at`. */
function digitAt(json: string, at: number): number {
  const digit = codeAt(json, at)
  if (digit >= 0x30 && digit <= 0x39) return digit - 0x30
  const letter = digit | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** 0 behind the end, since no JSON text holds it. */
function codeAt(json: string, at: number): number {
  return at < json.length ? json.charCodeAt(at) : 0
}
