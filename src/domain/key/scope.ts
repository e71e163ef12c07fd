/**
 * How the entries of a key's scope are written. Whether a call is within a scope, the data path
 * decides. Pure.
 */
import { TOKEN_CHAR } from '../../lib/http-syntax.ts'
import { canonicalNetwork } from '../../lib/network.ts'
import { printable } from '../../lib/text/printable.ts'
import type { Scope } from '../key.ts'
import { UPSTREAM_NAME } from '../upstream.ts'

/** Nobody keeps more in view; a key that needs more is better left unrestricted. */
export const SCOPE_ENTRIES_MAX = 100

/** No path or model that deserves a rule of its own is longer. */
const GLOB_CHARS_MAX = 256

type Rule = {
  readonly pattern: RegExp
  /** The one spelling of an entry that fits the pattern; null if the entry is wrong. */
  readonly read: (entry: string) => string | null
  /** What an entry must be. */
  readonly message: string
}

export const SCOPE_RULES: Readonly<Record<keyof Scope, Rule>> = {
  upstreams: {
    pattern: UPSTREAM_NAME,
    read: (entry) => entry,
    message: 'must be the name of an upstream: 1 to 63 lower-case letters, digits and dashes',
  },
  methods: {
    // The longest registered method has 17 characters.
    pattern: new RegExp(`^${TOKEN_CHAR}{1,32}$`),
    read: (entry) => entry.toUpperCase(),
    message: 'must be an HTTP method, such as GET',
  },
  paths: {
    pattern: new RegExp(printable(0, GLOB_CHARS_MAX - 1, '/'), 'u'),
    read: (entry) => entry,
    message: `must be a glob of at most ${GLOB_CHARS_MAX} characters that begins with a slash, such as /chat/**`,
  },
  models: {
    pattern: new RegExp(printable(1, GLOB_CHARS_MAX, '(?!!)'), 'u'),
    read: (entry) => entry,
    message: `must be a glob of 1 to ${GLOB_CHARS_MAX} characters that does not begin with !, such as gpt-4o*`,
  },
  ipAllow: {
    // No pattern says which addresses and networks there are.
    pattern: /^[0-9A-Fa-f:.]+(?:\/(?:0|[1-9][0-9]{0,2}))?$/,
    read: canonicalNetwork,
    message: 'must be an IP address or a network, such as 192.0.2.0/24',
  },
}

/** The one spelling of an entry; null if it is wrong. */
export function readScopeEntry(member: keyof Scope, entry: string): string | null {
  const { pattern, read } = SCOPE_RULES[member]
  return pattern.test(entry) ? read(entry) : null
}
