/**
 * What a key is restricted to, as the API takes and shows it: five lists, each of them null if it restricts nothing. An
 * empty list allows nothing.
 */
import { type Static, t } from 'elysia'
import type { Scope } from '../../domain/key.ts'
import type { FieldError } from '../../errors.ts'
import { PRINTABLE } from '../../http/fields/text.ts'
import { canonicalNetwork } from '../../lib/network.ts'

/** More than anyone keeps in view; a key for more than that is better left unrestricted. */
const ENTRIES_MAX = 100
/** Longer than any path or model that is worth a rule of its own. */
const GLOB_CHARS_MAX = 256
/** As the names of upstreams are. */
const UPSTREAM = /^[a-z][a-z0-9-]{0,62}$/
/** RFC 9110 section 5.6.2; the length is that of the longest registered one, and some room. */
const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/
const PATH = new RegExp(`^/${PRINTABLE}{0,${GLOB_CHARS_MAX - 1}}$`, 'u')
const MODEL = new RegExp(`^(?!!)${PRINTABLE}{1,${GLOB_CHARS_MAX}}$`, 'u')
/** An address, or a network; which of those there are, no pattern says. */
const NETWORK = /^[0-9A-Fa-f:.]+(?:\/(?:0|[1-9][0-9]{0,2}))?$/

type Rule = {
  readonly member: keyof Scope
  readonly description: string
  readonly examples: readonly string[]
  readonly pattern: RegExp
  /** The one spelling of an entry that fits the pattern; null if it is wrong. */
  readonly read: (entry: string) => string | null
  readonly message: string
}

const RULES = {
  upstreams: {
    member: 'upstreams',
    description:
      'Names of the upstreams that may be called; they need not exist yet. With a list, endpoints of `/proxy` that belong to no upstream are refused.',
    examples: ['openai'],
    pattern: UPSTREAM,
    read: (entry) => entry,
    message: 'must be the name of an upstream: 1 to 63 lower-case letters, digits and dashes',
  },
  methods: {
    member: 'methods',
    description: 'Methods that may be used, in any letter case. `GET` includes `HEAD`.',
    examples: ['GET', 'POST'],
    pattern: METHOD,
    read: (entry) => entry.toUpperCase(),
    message: 'must be an HTTP method, such as GET',
  },
  paths: {
    member: 'paths',
    description:
      'Globs on the decoded path after the base URL of the upstream, or on the whole path of an endpoint that belongs to no upstream. `*` stays within a segment, `**` crosses them.',
    examples: ['/chat/**', '/models'],
    pattern: PATH,
    read: (entry) => entry,
    message: `must be a glob of at most ${GLOB_CHARS_MAX} characters that begins with a slash, such as /chat/**`,
  },
  models: {
    member: 'models',
    description:
      'Globs on the model that a call names. With a list, a call with a body must name one.',
    examples: ['gpt-4o*'],
    pattern: MODEL,
    read: (entry) => entry,
    message: `must be a glob of 1 to ${GLOB_CHARS_MAX} characters that does not begin with !, such as gpt-4o*`,
  },
  ip_allow: {
    member: 'ipAllow',
    description:
      'Addresses and networks that calls may come from. Behind a reverse proxy, see `TRUSTED_PROXIES`.',
    examples: ['192.0.2.0/24', '2001:db8::1'],
    pattern: NETWORK,
    read: canonicalNetwork,
    message: 'must be an IP address or a network, such as 192.0.2.0/24',
  },
} as const satisfies Record<string, Rule>

type Field = keyof typeof RULES
const FIELDS = Object.keys(RULES) as Field[]

export const scopeFields = {
  upstreams: taken('upstreams'),
  methods: taken('methods'),
  paths: taken('paths'),
  models: taken('models'),
  ip_allow: taken('ip_allow'),
}
type ScopeInput = { readonly [F in Field]?: Static<(typeof scopeFields)[F]> | undefined }

const shownList = t.Union([t.Array(t.String()), t.Null()])

export const shownScope = {
  upstreams: shownList,
  methods: shownList,
  paths: shownList,
  models: shownList,
  ip_allow: shownList,
}

/** The whole scope after a change; undefined if the change touches none of it. */
export function changedScope(
  before: Scope | null,
  input: ScopeInput,
  errors: FieldError[],
): Scope | null | undefined {
  const given = FIELDS.filter((field) => input[field] !== undefined)
  if (given.length === 0) return undefined
  const after: { -readonly [M in keyof Scope]: Scope[M] } = { ...before }
  for (const field of given) {
    const list = input[field]
    if (list) after[RULES[field].member] = readEntries(field, list, errors)
    else delete after[RULES[field].member]
  }
  return Object.keys(after).length > 0 ? after : null
}

export function showScope(scope: Scope | null): Record<Field, string[] | null> {
  const list = (field: Field) => {
    const entries = scope?.[RULES[field].member]
    return entries ? [...entries] : null
  }
  return {
    upstreams: list('upstreams'),
    methods: list('methods'),
    paths: list('paths'),
    models: list('models'),
    ip_allow: list('ip_allow'),
  }
}

function readEntries(field: Field, list: readonly string[], errors: FieldError[]): string[] {
  const { pattern, read, message } = RULES[field]
  const entries = list.map((entry, i) => {
    const value = pattern.test(entry) ? read(entry) : null
    if (value === null) errors.push({ path: `${field}.${i}`, message })
    return value
  })
  return [...new Set(entries.filter((entry) => entry !== null))]
}

function taken(field: Field) {
  const { description, examples, pattern } = RULES[field]
  const entry = t.String({ documented: { pattern: pattern.source } })
  const list = t.Array(entry, { maxItems: ENTRIES_MAX })
  return t.Optional(
    t.Union([list, t.Null()], {
      error: `must be a list of at most ${ENTRIES_MAX} texts, or null`,
      description: `${description} \`null\` is no restriction, an empty list allows nothing.`,
      examples: [examples],
    }),
  )
}
