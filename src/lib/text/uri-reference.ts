/**
 * Takes apart URLs in headers (RFC 3986, section 4.1) as text. What is not translated keeps its
 * spelling, which `URL` would change. Pure; takes time in proportion to the text.
 */

export type UriReference = {
  /** `http` or `https`; null if the reference names none. */
  readonly scheme: string | null
  /** Host and port, perhaps after a user; null if the reference is a path alone. */
  readonly authority: string | null
  /** Empty, or begins with a slash. */
  readonly path: string
  /** Query and fragment with their `?` and `#`; empty if there are none. */
  readonly suffix: string
}

/** Null if the reference has another scheme, or a path that is relative to its reader's. */
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

/**
 * Whether both name the same host and port under this scheme. A user in either makes them differ.
 */
export function isSameHost(one: string, other: string, scheme: string): boolean {
  const [first, second] = [one, other].map((host) => hostOf(host, scheme))
  return first !== null && first === second
}

/** The host with its port, unless that is the scheme's default. */
function hostOf(authority: string, scheme: string): string | null {
  if (authority === '' || /[@\s]/.test(authority)) return null
  return URL.parse(`${scheme}://${authority}`)?.host ?? null
}

/**
 * The path below `base`: empty, or begins with a slash. Null if it is not below it by whole
 * segments.
 */
export function pathBelow(base: string, path: string): string | null {
  if (!path.startsWith(base)) return null
  const rest = path.slice(base.length)
  return rest === '' || rest.startsWith('/') ? rest : null
}

/**
 * Replaces the reference in each pair of angle brackets outside of quotes and parentheses: the
 * resource tags of `If` (RFC 4918, section 10.4.2).
 */
export function mapTags(text: string, map: (reference: string) => string): string {
  let result = ''
  let depth = 0
  for (let i = 0; i < text.length; ) {
    const char = text.charAt(i)
    const end = closingOf(text, i, 'entity tags') ?? i
    const piece = text.slice(i, end + 1)
    if (char === '(') depth++
    if (char === ')' && depth > 0) depth--
    const isReference = char === '<' && depth === 0 && piece.endsWith('>')
    result += isReference ? `<${map(piece.slice(1, -1))}>` : piece
    i = end + 1
  }
  return result
}

/**
 * Replaces the target of each link of `Link` (RFC 8288, section 3). A link whose target becomes null, and
 * what is no link, is left out; null if none is left.
 */
export function mapLinks(text: string, map: (reference: string) => string | null): string | null {
  const links = splitList(text).flatMap((link) => {
    const target = /^[ \t]*<([^<>]*)>/.exec(link)
    const mapped = target ? map(target[1] ?? '') : null
    if (!target || mapped === null) return []
    return [`<${mapped}>${link.slice(target[0].length)}`]
  })
  return links.length > 0 ? links.join(', ') : null
}

/** The elements of a list, at the commas outside of brackets and quoted strings. */
function splitList(text: string): string[] {
  const elements: string[] = []
  let start = 0
  for (let i = 0; i < text.length; ) {
    if (text.charAt(i) === ',') {
      elements.push(text.slice(start, i))
      start = i + 1
    }
    i = (closingOf(text, i, 'strings') ?? i) + 1
  }
  elements.push(text.slice(start))
  return elements
}

/**
 * The index of the bracket or quote that closes the one at `at`; null if none opens there. One that
 * is never closed reaches to the end. A backslash escapes in a quoted string (RFC 9110, section
 * 5.6.4), but not in an entity tag (section 8.8.3).
 */
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
