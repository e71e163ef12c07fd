/**
 * What the API document says in words because no schema says it: a request that fits its schemas is refused all the same.
 * The list is closed, and a rule that nothing meets is to be removed.
 */
import { isIP } from 'node:net'
import { isPlausible } from '../../src/domain/key/secret.ts'

type Members = Readonly<Record<string, unknown>>
/** What an operation is asked, its schemas being fit. */
export type Asked = { readonly body?: unknown; readonly query: Readonly<Record<string, string>> }

export type Rule = {
  readonly why: string
  readonly operations: readonly string[]
  readonly refuses: (body: Members, query: Readonly<Record<string, string>>) => boolean
}

const KEYS = ['createKey', 'updateKey']
const UPSTREAMS = ['createUpstream', 'updateUpstream']
const BODIES = [...KEYS, ...UPSTREAMS, 'creditKey', 'resetKey', 'rotateKey', 'createBackup']

export const RULES: readonly Rule[] = [
  {
    why: 'a body may not hold NUL, half surrogates or __proto__ anywhere, whatever it means, nor go too deep',
    operations: BODIES,
    refuses: (body) => {
      const texts = textsIn(body)
      return (
        texts.some(({ text }) => text.includes('\0') || !text.isWellFormed()) ||
        texts.some(({ text, isName }) => isName && text === '__proto__') ||
        levelsOf(body) > 16
      )
    },
  },
  {
    why: 'which time zones there are changes with the world',
    operations: KEYS,
    refuses: (body) =>
      [body['timezone'], ...limitsOf(body).map((one) => one['timezone'])].some(
        (zone) => typeof zone === 'string' && !isZone(zone),
      ),
  },
  {
    why: 'the same is true of zones in a query',
    operations: ['getUsage'],
    refuses: (_, { tz }) => tz !== undefined && !isZone(tz),
  },
  {
    why: 'a limit that is removed must be one of the key, beside its quota',
    operations: ['updateKey'],
    refuses: ({ remove_limits }) => ((remove_limits ?? []) as string[]).length > 0,
  },
  {
    why: 'instants are of the years 1970 to 9999 in UTC, whatever their offset',
    operations: KEYS,
    refuses: (body) => isOutOfTime(body['expires_at']),
  },
  {
    why: 'the same is true of instants in a query',
    operations: ['getOwnUsage', 'getUsage', 'listCalls'],
    refuses: (_, { from, to }) => isOutOfTime(from) || isOutOfTime(to),
  },
  {
    why: 'the range may not begin after its end, nor hold too many hours or days',
    operations: ['getOwnUsage'],
    refuses: (_, { from, to, group_by }) => isBadRange(from, to, group_by),
  },
  {
    why: 'the names of limits are unique, those that are made from unit and window included',
    operations: KEYS,
    refuses: (body) => {
      const names = limitsOf(body).map((one) => one['name'] ?? `${one['unit']}-${one['window']}`)
      return new Set(names).size < names.length
    },
  },
  {
    why: 'what looks like a generated key must have its checksum',
    operations: ['createKey'],
    refuses: ({ key }) => typeof key === 'string' && !isPlausible(key),
  },
  {
    why: 'a credit goes to a limit of the key that has an amount, which stays a number that can be counted',
    operations: ['creditKey'],
    refuses: ({ limit = 'quota', amount }) =>
      limit !== 'quota' || Math.abs(Number(amount) + 1000) > Number.MAX_SAFE_INTEGER,
  },
  {
    why: 'which hosts and ports there are is the URL standard’s to say',
    operations: UPSTREAMS,
    refuses: ({ base_url }) =>
      typeof base_url === 'string' && !isHost(URL.parse(base_url)?.hostname),
  },
  {
    why: 'paths of the server itself, in any letter case, are no mounts',
    operations: UPSTREAMS,
    refuses: ({ mount }) =>
      typeof mount === 'string' &&
      /^\/(admin|dashboard|healthz|me|metrics|proxy|readyz|swagger|u)(\/|$)/i.test(mount),
  },
  {
    why: 'headers of the connection, in any letter case, are not the operator’s to set',
    operations: UPSTREAMS,
    refuses: ({ headers, credential }) =>
      [...Object.keys(headers ?? {}), (credential as Members | null)?.['header']].some(
        (name) => typeof name === 'string' && /^(content-length|host|connection)$/i.test(name),
      ),
  },
  {
    why: 'a header is the same in any letter case, and may stand there once',
    operations: UPSTREAMS,
    refuses: ({ headers }) => {
      const names = Object.keys(headers ?? {})
      return new Set(names.map((name) => name.toLowerCase())).size < names.length
    },
  },
  {
    why: 'an origin is written as browsers send it, without the port that its scheme has anyhow',
    operations: UPSTREAMS,
    refuses: ({ cors_origins }) =>
      ((cors_origins ?? []) as string[]).some(
        (one) => one !== '*' && URL.parse(one)?.origin !== one,
      ),
  },
  {
    why: 'which addresses and networks there are, a pattern cannot say',
    operations: KEYS,
    refuses: ({ ip_allow }) => ((ip_allow ?? []) as string[]).some((one) => !isNetwork(one)),
  },
  {
    why: 'a credential needs a secret if the upstream has none yet',
    operations: ['updateUpstream'],
    refuses: ({ credential }) => Boolean(credential) && !('secret' in (credential as Members)),
  },
]

/** The first rule that refuses; undefined if none does. */
export function ruleAgainst(operationId: string, { body, query }: Asked): Rule | undefined {
  return RULES.find(
    ({ operations, refuses }) =>
      operations.includes(operationId) && refuses((body ?? {}) as Members, query),
  )
}

/** Below the value itself. */
function levelsOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return Math.max(0, ...Object.values(value).map((member) => 1 + levelsOf(member)))
}

/** Every text in a value, names included. */
function textsIn(value: unknown): { text: string; isName: boolean }[] {
  if (typeof value === 'string') return [{ text: value, isName: false }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) => [
    { text: name, isName: true },
    ...textsIn(member),
  ])
}

function limitsOf({ limits, set_limits }: Members): Members[] {
  return [limits, set_limits].flatMap((list) => (list ?? []) as Members[])
}

function isZone(name: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: name }))
  } catch {
    return false
  }
}

/** False of what is no instant at all. */
function isOutOfTime(text: unknown): boolean {
  const at = typeof text === 'string' ? instantOf(text) : Number.NaN
  return at < 0 || at >= Date.UTC(10_000, 0)
}

function instantOf(text: string): number {
  return Date.parse(text.toUpperCase().replace(' ', 'T').replace(':60', ':59'))
}

function isBadRange(from: string | undefined, to: string | undefined, by = 'day'): boolean {
  const end = to === undefined ? Date.now() : instantOf(to)
  const start = from === undefined ? end : instantOf(from)
  const ms = by === 'hour' ? 3_600_000 : 86_400_000
  return start > end || (by !== 'total' && Math.ceil(end / ms) - Math.floor(start / ms) > 1000)
}

function isHost(name = ''): boolean {
  return isIP(name.replace(/^\[|\]$/g, '')) !== 0 || /^[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?$/.test(name)
}

function isNetwork(text: string): boolean {
  const [address = '', bits = '0'] = text.split('/')
  const least = /^::ffff:/i.test(address) && text.includes('/') && address.includes('.') ? 96 : 0
  return (
    Number(bits) >= least && Number(bits) <= (isIP(address) === 4 ? 32 : 128) && isIP(address) !== 0
  )
}
