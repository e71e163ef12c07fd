/**
 * URLs as they stand in headers (RFC 3986, section 4.1), taken apart as text: what is not translated keeps its spelling,
 * which `URL` would write anew. Pure; takes time in proportion to the text.
 */

export type UriReference = {
  /** `http` or `https`; null if the reference leaves it to its reader. */
  readonly scheme: string | null
  /** Host and port, perhaps with a user before them; null for a path alone. */
  readonly authority: string | null
  /** Empty, or with a slash at its beginning. */
  readonly path: string
  /** Query and fragment, with what introduces them; empty if there are none. */
  readonly suffix: string
}

/** Null for what has another scheme, or whose path begins at wherever its reader is. */
export function parseReference(text: string): UriReference | null {
  const parts = /^(?:(?:(https?):)?\/\/([^/?#\\]*))?(\/[^?#]*)?([?#].*)?$/i.exec(text)
  if (!parts) return null
  const [, scheme, authority, path = '', suffix = ''] = parts
  if (authority === undefined && path === '') return null
  return {
    scheme: scheme?.toLowerCase() ?? null,
    authority: authority ?? null,
    path,
    suffix,
  }
}

/** Whether both name the same host and port, for readers who know the scheme. A user in either makes them differ. */
export function isSameHost(one: string, other: string, scheme: string): boolean {
  const [first, second] = [one, other].map((host) => hostOf(host, scheme))
  return first !== null && first === second
}

/** With the port, unless that is the scheme's own. */
function hostOf(authority: string, scheme: string): string | null {
  if (authority === '' || /[@\s]/.test(authority)) return null
  return URL.parse(`${scheme}://${authority}`)?.host ?? null
}

/** The path below `base`: empty, or with a slash at its beginning. Null if it is not under `base` by whole segments. */
export function pathBelow(base: string, path: string): string | null {
  if (!path.startsWith(base)) return null
  const rest = path.slice(base.length)
  return rest === '' || rest.startsWith('/') ? rest : null
}

/**
 * The text with another reference in each pair of angle brackets that stands outside of quotes and parentheses: the targets
 * of `Link` (RFC 8288, section 3), the resource tags of `If` (RFC 4918, section 10.4.2). In a quoted string a backslash
 * escapes (RFC 9110, section 5.6.4), in an entity tag it does not (section 8.8.3).
 */
export function mapReferences(
  text: string,
  quotes: 'strings' | 'entity tags',
  map: (reference: string) => string,
): string {
  let result = ''
  let depth = 0
  for (let i = 0; i < text.length; ) {
    const char = text.charAt(i)
    const end = closingOf(text, i, quotes) ?? i
    const piece = text.slice(i, end + 1)
    if (char === '(') depth++
    if (char === ')' && depth > 0) depth--
    const isReference = char === '<' && depth === 0 && piece.endsWith('>')
    result += isReference ? `<${map(piece.slice(1, -1))}>` : piece
    i = end + 1
  }
  return result
}

/** Where what opens at `at` is closed; null if nothing opens there. What is never closed goes on to the end. */
function closingOf(text: string, at: number, quotes: 'strings' | 'entity tags'): number | null {
  const open = text.charAt(at)
  if (open === '<') return orEnd(text, text.indexOf('>', at))
  if (open !== '"') return null
  let end = at + 1
  while (end < text.length && text.charAt(end) !== '"')
    end += quotes === 'strings' && text.charAt(end) === '\\' ? 2 : 1
  return Math.min(end, text.length - 1)
}

function orEnd(text: string, index: number): number {
  return index < 0 ? text.length - 1 : index
}
