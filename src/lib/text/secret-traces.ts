/**
 * Finds a secret in a text that others have written: plain, escaped for JSON, URLs or HTML, in base64 or hexadecimal, or
 * masked so that its ends are left. Pure; takes time in proportion to the text.
 */
import { remember } from '../remember.ts'

/** Nobody gives out shorter credentials; words as short as these may stand in a text by chance. */
const SECRET_CHARS_MIN = 8

/** An upstream has one secret, and upstreams are few. */
const SECRETS_MAX = 1_000

/** Base64 at each place that the secret can have among groups of three bytes, and hexadecimal. None is shorter than it. */
const codedOf = remember((secret: string): readonly string[] => {
  const bytes = Buffer.from(secret)
  const hex = bytes.toString('hex')
  const coded = [...base64Of(bytes, 'base64'), ...base64Of(bytes, 'base64url'), hex]
  return [...new Set([...coded, hex.toUpperCase()])]
}, SECRETS_MAX)

/** Without the characters at either end that depend on what stands beside the secret. */
function base64Of(bytes: Buffer, alphabet: 'base64' | 'base64url'): string[] {
  return [0, 1, 2].map((before) => {
    const padded = Buffer.concat([Buffer.alloc(before), bytes])
    const whole = Math.floor((padded.length * 8) / 6)
    return padded.toString(alphabet).slice(Math.ceil((before * 8) / 6), whole)
  })
}

/** Whether the whole secret stands in the text. What is shorter than the secret costs nothing. */
export function holdsSecret(text: string, secret: string | null): boolean {
  if (secret === null || text.length < secret.length || secret.length < SECRET_CHARS_MIN)
    return false
  return isIn(text, secret) || (ESCAPE.test(text) && isIn(unescaped(text).text, secret))
}

function isIn(text: string, secret: string): boolean {
  return text.includes(secret) || codedOf(secret).some((one) => text.includes(one))
}

/** Whether the ends of the secret stand in the text, as errors show which credential they mean. */
export function hintsAtSecret(text: string, secret: string | null): boolean {
  return secret !== null && secret.length >= SECRET_CHARS_MIN && hintsIn(text, secret).length > 0
}

/** The text with an asterisk in the place of every character that tells of the secret; null if none does. */
export function withoutSecret(text: string, secret: string | null): string | null {
  if (secret === null || secret.length < SECRET_CHARS_MIN) return null
  const { text: plain, starts } = unescaped(text)
  const found = [
    ...[secret, ...codedOf(secret)].flatMap((spelling) => placesOf(plain, spelling)),
    ...hintsIn(plain, secret),
  ]
  if (found.length === 0) return null
  const blank = new Uint8Array(text.length)
  for (const [from, to] of found) blank.fill(1, starts?.[from] ?? from, starts?.[to] ?? to)
  return Array.from(text, (char, i) => (blank[i] === 1 ? '*' : char)).join('')
}

type Place = readonly [from: number, to: number]

function placesOf(text: string, part: string): Place[] {
  const places: Place[] = []
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length))
    places.push([at, at + part.length])
  return places
}

/** What programs put into the place of the middle of a secret. */
const MASK = /\*{2,}|\.{3,}|…+|•{2,}|[xX]{4,}|\[(?:redacted|hidden|masked)\]/gi
/** How errors name a secret by one of its ends. */
const END =
  /\b(?:ending|ends|starting|starts|beginning|begins)(?: (?:in|with))?[: ]+["'`]?([\w-]{3,64})/gi
const HINTS_MAX = 1_000
/** No error shows more of a secret beside a mask. */
const END_CHARS_MAX = 64

function hintsIn(text: string, secret: string): Place[] {
  const places: Place[] = []
  for (const { 0: mask, index } of text.matchAll(MASK)) {
    const before = headBefore(text, index, secret)
    const after = tailAfter(text, index + mask.length, secret)
    if (before >= 3 || after >= 3 || (before > 0 && after >= 2))
      places.push([index - before, index + mask.length + after])
    if (places.length >= HINTS_MAX) break
  }
  for (const { 0: said, 1: end = '', index } of text.matchAll(END)) {
    const to = index + said.length
    if (secret.startsWith(end) || secret.endsWith(end)) places.push([to - end.length, to])
    if (places.length >= HINTS_MAX) break
  }
  return places
}

/** How many characters before the place are the beginning of the secret, as a word of its own. */
function headBefore(text: string, at: number, secret: string): number {
  for (let n = Math.min(END_CHARS_MAX, secret.length - 1, at); n > 0; n--)
    if (text.startsWith(secret.slice(0, n), at - n) && !isWord(text.charAt(at - n - 1))) return n
  return 0
}

function tailAfter(text: string, at: number, secret: string): number {
  for (let n = Math.min(END_CHARS_MAX, secret.length - 1, text.length - at); n > 0; n--)
    if (text.startsWith(secret.slice(-n), at) && !isWord(text.charAt(at + n))) return n
  return 0
}

function isWord(char: string): boolean {
  return /^[A-Za-z0-9]$/.test(char)
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', quot: '"', apos: "'", lt: '<', gt: '>' }
const ESCAPES =
  /%([0-9a-f]{2})|\\(?:u([0-9a-f]{4})|x([0-9a-f]{2})|(["'\\/]))|&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|(amp|quot|apos|lt|gt));/gi
const ESCAPE = /[%\\&]/

/** `starts` says where each character stood before, and where the text ended; null if nothing was escaped. */
function unescaped(text: string): { readonly text: string; readonly starts: number[] | null } {
  if (!ESCAPE.test(text)) return { text, starts: null }
  const pieces: string[] = []
  const starts: number[] = []
  let end = 0
  const pass = (to: number) => {
    pieces.push(text.slice(end, to))
    for (; end < to; end++) starts.push(end)
  }
  for (const match of text.matchAll(ESCAPES)) {
    const [whole, percent, unicode, byte, char, hex, decimal, name] = match
    pass(match.index)
    starts.push(end)
    pieces.push(
      char ??
        (name === undefined
          ? charOf(percent ?? unicode ?? byte ?? hex, decimal)
          : (NAMED[name.toLowerCase()] ?? ' ')),
    )
    end += whole.length
  }
  pass(text.length)
  return { text: pieces.join(''), starts: [...starts, text.length] }
}

/** One unit of UTF-16; what lies beyond is in no secret. */
function charOf(hex: string | undefined, decimal: string | undefined): string {
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16)
  return String.fromCharCode(code)
}
