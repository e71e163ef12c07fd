/**
 * Cuts the text of one member out of the text of a JSON object. The text must already have been accepted by JSON.parse:
 * this only finds where things begin and end, in one pass, without recursion.
 */

/** The last member of that name wins, as in JSON.parse. Throws if there is none, which a caller that parsed cannot see. */
export function memberText(json: string, name: string): string {
  let found: string | null = null
  let at = skipSpace(json, json.indexOf('{') + 1)
  while (json[at] === '"') {
    const keyEnd = skipValue(json, at)
    const isWanted = JSON.parse(json.slice(at, keyEnd)) === name
    const start = skipSpace(json, skipSpace(json, keyEnd) + 1)
    const end = skipValue(json, start)
    if (isWanted) found = json.slice(start, end)
    const separator = skipSpace(json, end)
    at = skipSpace(json, separator + 1)
    if (json[separator] !== ',') break
  }
  if (found === null) throw new Error(`no member "${name}"`)
  return found
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

function skipString(json: string, start: number): number {
  let at = start + 1
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1
  return at + 1
}

function skipSpace(json: string, start: number): number {
  let at = start
  while (isSpace(json[at])) at++
  return at
}

function isSpace(char: string | undefined): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r'
}
