/** Which kinds of bytes a walker tells apart outside of strings. */

export const SCALAR = 0
export const SPACE = 1
export const QUOTE = 2
export const COLON = 3
export const COMMA = 4
export const CLOSE = 5
const OPEN = 6

/** The kind of each byte. */
export const KINDS = new Uint8Array(256)
/** RFC 7464 puts a record separator before each text. */
for (const [bytes, kind] of [
  [' \t\r\n\x1e', SPACE],
  ['"', QUOTE],
  [':', COLON],
  [',', COMMA],
  [']}', CLOSE],
  ['[{', OPEN],
] as const) {
  for (const byte of bytes) KINDS[byte.charCodeAt(0)] = kind
}
