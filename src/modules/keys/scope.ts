/**
 * How the admin API takes and shows what a key is restricted to: five lists, each of them null if
 * it restricts nothing. An empty list allows nothing.
 */
import { type Static, t } from 'elysia'
import { SCOPE_ENTRIES_MAX, SCOPE_RULES } from '../../domain/key/scope.ts'
import type { Scope } from '../../domain/key.ts'
import { orNull } from '../../http/fields/nullable.ts'

type Field = {
  readonly member: keyof Scope
  readonly description: string
  readonly examples: readonly string[]
}

const FIELDS = {
  upstreams: {
    member: 'upstreams',
    description:
      'Names of the upstreams that may be called; they need not exist yet. With a list, endpoints of `/proxy` that belong to no upstream are refused.',
    examples: ['openai'],
  },
  methods: {
    member: 'methods',
    description: 'Methods that may be used, in any letter case. `GET` includes `HEAD`.',
    examples: ['GET', 'POST'],
  },
  paths: {
    member: 'paths',
    description:
      'Globs on the decoded path after the base URL of the upstream, or on the whole path of an endpoint that belongs to no upstream. `*` stays within a segment, `**` crosses them.',
    examples: ['/chat/**', '/models'],
  },
  models: {
    member: 'models',
    description:
      'Globs on the model that a call names. With a list, a call with a body must name one, in the body or in the path.',
    examples: ['gpt-4o*'],
  },
  ip_allow: {
    member: 'ipAllow',
    description:
      'Addresses and networks that calls may come from. Behind a reverse proxy, see `TRUSTED_PROXIES`.',
    examples: ['192.0.2.0/24', '2001:db8::1'],
  },
} as const satisfies Record<string, Field>

export type ScopeField = keyof typeof FIELDS
export const SCOPE_FIELDS = Object.keys(FIELDS) as ScopeField[]

/** The member of a scope that a field of the API stands for. */
export function memberOf(field: ScopeField): keyof Scope {
  return FIELDS[field].member
}

export const scopeFields = {
  upstreams: taken('upstreams'),
  methods: taken('methods'),
  paths: taken('paths'),
  models: taken('models'),
  ip_allow: taken('ip_allow'),
}
export type ScopeInput = {
  readonly [F in ScopeField]?: Static<(typeof scopeFields)[F]> | undefined
}

function taken(field: ScopeField) {
  const { member, description, examples } = FIELDS[field]
  const entry = t.String({ documented: { pattern: SCOPE_RULES[member].pattern.source } })
  return t.Optional(
    orNull(t.Array(entry, { maxItems: SCOPE_ENTRIES_MAX }), {
      error: `must be a list of at most ${SCOPE_ENTRIES_MAX} texts, or null`,
      description: `${description} \`null\` is no restriction, an empty list allows nothing.`,
      examples: [examples],
    }),
  )
}
