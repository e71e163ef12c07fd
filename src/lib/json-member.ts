/**
 * Finds the members of a JSON object in its text, so that they can be cut out or replaced without touching the rest. The
 * text must already have been accepted by JSON.parse: this only finds where things begin and end, in one pass, without
 * recursion.
 */

/** `start` and `end` enclose the value, without the space around it. */
export type Member = { readonly name: string; readonly start: number; readonly end: number }

/** In their order, twins included. */
export function* members(json: string): Generator<Member> {
  let at = skipSpace(json, json.indexOf('{') + 1)
  while (json[at] === '"') {
    const nameEnd = skipString(json, at)
    const name: string = JSON.parse(json.slice(at, nameEnd))
    const start = skipSpace(json, skipSpace(json, nameEnd) + 1)
    const end = skipValue(json, start)
    yield { name, start, end }
    const separator = skipSpace(json, end)
    at = skipSpace(json, separator + 1)
    if (json[separator] !== ',') break
  }
}

/** The last member of that name wins, as in JSON.parse. Throws if there is none, which a caller that parsed cannot see. */
export function memberText(json: string, name: string): string {
  let found: string | null = null
  for (const member of members(json)) {
    if (member.name === name) found = json.slice(member.start, member.end)
  }
  if (found === null) throw new Error(`no member "${name}"`)
  return found
}

/** Whether an object of the text, at any depth, has a member twice: readers do not agree on which of them counts (RFC 8259 section 4). */
export function hasTwins(json: string): boolean {
  /** Of every object that is open, the names so far; null for a list. */
  const open: (Set<string> | null)[] = []
  let before = ''
  for (let at = 0; at < json.length; at++) {
    const char = json.charAt(at)
    if (char === '{') open.push(new Set())
    else if (char === '[') open.push(null)
    else if (char === '}' || char === ']') open.pop()
    else if (char === '"') {
      const end = skipString(json, at)
      const names = before === '{' || before === ',' ? open.at(-1) : null
      const name = names && JSON.parse(json.slice(at, end))
      if (names?.has(name)) return true
      names?.add(name)
      at = end - 1
    } else if (char !== ',') continue
    before = char
  }
  return false
}

/** Where the value that starts at `start` ends. */
function skipValue(json: string, start: number): number {
  let depth = 0
  let at = start
  while (at < json.length) {
    const char = json[at]
    if (char === '"') {
      at = skipString(json, at)
      if (depth === 0) return at
      continue
    }
    if (char === '{' || char === '[') depth++
    if (char === '}' || char === ']') {
      if (depth === 0) return at
      depth--
      if (depth === 0) return at + 1
    }
    // A number or a word at the top ends where something else begins.
    if (depth === 0 && (char === ',' || isSpace(char))) return at
    at++
  }
  return at
}

/** From quote to quote: most of a body is text, and this is how it is passed over fast. */
function skipString(json: string, start: number): number {
  let quote = json.indexOf('"', start + 1)
  while (isEscaped(json, quote)) quote = json.indexOf('"', quote + 1)
  return quote + 1
}

/** An odd number of backslashes stands before it. */
function isEscaped(json: string, at: number): boolean {
  let slashes = 0
  while (json[at - 1 - slashes] === '\\') slashes++
  return slashes % 2 === 1
}

function skipSpace(json: string, start: number): number {
  let at = start
  while (isSpace(json[at])) at++
  return at
}

function isSpace(char: string | undefined): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r'
}
