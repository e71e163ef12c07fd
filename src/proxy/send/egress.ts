/**
 * Decides where a call may go, before anything is charged and before a socket is opened.
 * An allowed target comes back with one checked IP address, and that address, never the name, is
 * what the caller connects to: a name that changes its answer later changes nothing.
 * It never echoes the input and never tells a private target from one that does not exist, so that
 * a key holder cannot map the operator's network with it.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { canonicalAddress, isPublicAddress } from './egress-address.ts'

export type EgressMode = 'public' | 'listed' | 'off'

/** A target that the operator names. The host is lower-case and unbracketed; no port means any. */
export type EgressAllowEntry = { host: string; port?: number }

/** Where to connect to. */
export type Destination = {
  readonly isSecure: boolean
  /** The checked IP literal. */
  readonly address: string
  /** The same with the port, as it stands in a URL. */
  readonly authority: string
  /** The name that the certificate must have. */
  readonly host: string
  readonly port: number
  /** What the Host field says. */
  readonly hostField: string
}

export type EgressRefusal = { ok: false; reason: RefusalReason; message: string }
type RefusalReason =
  | 'scheme'
  | 'userinfo'
  | 'port'
  | 'address'
  | 'unresolvable'
  | 'off'
  | 'not_listed'
  | 'malformed'

export type EgressGuard = {
  /** `named` says that the operator has named this very target, as the base of an upstream: then it may be private. */
  check(url: URL, named?: boolean): Checked | Promise<Checked>
}

export type Checked = { ok: true; destination: Destination } | EgressRefusal

type Options = {
  mode: EgressMode
  allow: readonly EgressAllowEntry[]
  resolve?: (host: string) => Promise<{ address: string; family: 4 | 6 }[]>
  ownAddresses?: () => readonly string[]
  now?: () => number
}

/** What a look-up of a host found: the address to use, and whether anyone may use it. */
type Finding = { address: string | undefined; open: boolean }

/** Longer than any URL that servers accept by default (nginx and Apache stop at 8 KiB as well). */
const ENDPOINT_BYTES_MAX = 8 * 1024
/** Long enough to take the resolver off a busy path, short enough to follow a DNS failover. */
const FINDING_MS_MAX = 10_000
/** A few hundred KiB at most; a server that calls more hosts than this only resolves more often. */
const FINDINGS_MAX = 1000
/** The system resolver's own default for one try. */
const LOOKUP_MS_MAX = 5000
/** A flood of slow names must not queue without end behind the system resolver's few threads. */
const LOOKUPS_MAX = 256

const HOST_NAME = /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/
/** RFC 1035 §2.3.4, less the two bytes that only the wire format needs. */
const HOST_NAME_CHARS_MAX = 253

const PORT_MAX = 65_535

/**
 * Ports of protocols that would act on parts of an HTTP request, SMTP above all.
 * The list is the Fetch standard's: https://fetch.spec.whatwg.org/#port-blocking
 */
const BAD_PORTS = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102,
  103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465,
  512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993,
  995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
  6669, 6679, 6697, 10080,
])

/** Private and unknown targets share one text: a difference would be an oracle. */
const NO_PUBLIC_ADDRESS =
  'The target has no public address. The operator can allow it by name in PROXY_EGRESS_ALLOW.'

const MESSAGES: Record<RefusalReason, string> = {
  malformed:
    'The target must be an absolute http or https URL of at most 8 KiB, without spaces, control characters or backslashes.',
  scheme: 'Only http and https targets can be called.',
  userinfo: 'The target must not contain a user name or password; send them in a header.',
  port: 'This port belongs to another protocol. The operator can allow host:port in PROXY_EGRESS_ALLOW.',
  address: NO_PUBLIC_ADDRESS,
  unresolvable: NO_PUBLIC_ADDRESS,
  off: 'The operator has turned calls to endpoints off (PROXY_EGRESS=off).',
  not_listed: 'The target is not listed. The operator can allow it by name in PROXY_EGRESS_ALLOW.',
}

/** Reads an endpoint as written by a key holder. Pure: it decides only what needs no network. */
export function parseEndpoint(raw: string): { ok: true; url: URL } | EgressRefusal {
  // `new URL` drops tabs and newlines and turns `\` into `/`, so that what it
  // returns may name another host than the one a reader of the text would see.
  if (Buffer.byteLength(raw) > ENDPOINT_BYTES_MAX || /[\s\p{Cc}\p{Z}\\]/u.test(raw)) {
    return refuse('malformed')
  }
  const url = URL.parse(raw)
  if (url === null) return refuse('malformed')
  if (!isHttp(url)) return refuse('scheme')
  // `http:host` and `http:///host` parse too, but other readers see no host in them.
  const authority = /^https?:\/\/([^/?#]+)/i.exec(raw)?.[1]
  if (authority === undefined) return refuse('malformed')
  // An empty user (`http://@host`) leaves no trace in the parsed URL.
  if (authority.includes('@')) return refuse('userinfo')
  return readTarget(url)
}

/** Reads PROXY_EGRESS_ALLOW: `host[:port],…`, IPv6 in brackets. Canonicalised as a URL would be. */
export function parseEgressAllow(
  list: string,
): { ok: true; entries: EgressAllowEntry[] } | { ok: false; problem: string } {
  if (list.trim() === '') return { ok: true, entries: [] }
  const entries: EgressAllowEntry[] = []
  for (const [index, item] of list.split(',').entries()) {
    const written = /^(\[[^\]]+\]|[^:/?#]+)(?::(\d{1,5}))?$/.exec(item.trim())
    const target = parseEndpoint(`http://${written?.[1] ?? ''}/`)
    const port = written?.[2] === undefined ? undefined : Number(written[2])
    if (!target.ok || port === 0 || (port ?? 0) > PORT_MAX) {
      const problem = `entry ${index + 1} is not host or host:port (IPv6 in brackets; no scheme, path or wildcard)`
      return { ok: false, problem }
    }
    const host = hostOf(target.url)
    entries.push(port === undefined ? { host } : { host, port })
  }
  return { ok: true, entries }
}

export function createEgressGuard(options: Options): EgressGuard {
  const { mode, allow, ownAddresses = interfaceAddresses, now = () => performance.now() } = options
  const lookUp = boundLookups(options.resolve ?? systemResolve)
  const recall = rememberFindings(find, now)

  async function find(host: string): Promise<Finding> {
    const addresses = isIP(host) === 0 ? await lookUp(host) : [host]
    const own = new Set(ownAddresses().map(canonicalAddress))
    return {
      address: addresses.find((address) => isIP(address) === 4) ?? addresses[0],
      open: addresses.every(
        (address) => isPublicAddress(address) && !own.has(canonicalAddress(address)),
      ),
    }
  }

  /** What the operator has named was read when it was named. It has one URL for as long as it stays unchanged. */
  const named = new WeakMap<URL, { readonly until: number; readonly checked: Checked }>()

  async function checkNamed(url: URL): Promise<Checked> {
    const { address, until } = await recall(hostOf(url))
    if (address === undefined) return refuse('unresolvable')
    const checked: Checked = { ok: true, destination: destinationOf(url, address) }
    named.set(url, { until, checked })
    return checked
  }

  async function checkOther(given: URL): Promise<Checked> {
    if (mode === 'off') return refuse('off')
    const target = readTarget(given)
    if (!target.ok) return target
    const { url } = target
    const host = hostOf(url)
    const port = portOf(url)
    const listed = allow.filter(
      (entry) => entry.host === host && (entry.port === undefined || entry.port === port),
    )
    if (mode === 'listed' && listed.length === 0) return refuse('not_listed')
    if (BAD_PORTS.has(port) && !listed.some((entry) => entry.port === port)) return refuse('port')

    const { address, open } = await recall(host)
    if (address === undefined) return refuse('unresolvable')
    if (!open && listed.length === 0) return refuse('address')
    return { ok: true, destination: destinationOf(url, address) }
  }

  return {
    check(url, isNamed = false) {
      if (!isNamed) return checkOther(url)
      const kept = named.get(url)
      return kept && now() < kept.until ? kept.checked : checkNamed(url)
    },
  }
}

/** The destination of a URL whose host has this checked address. */
export function destinationOf(url: URL, address: string): Destination {
  const port = portOf(url)
  return {
    isSecure: url.protocol === 'https:',
    address,
    authority: isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`,
    ...{ host: hostOf(url), port, hostField: url.host },
  }
}

function portOf(url: URL): number {
  return Number(url.port || (url.protocol === 'https:' ? 443 : 80))
}

/** The checks that hold for every target, listed or not. Returns a copy: callers may change theirs. */
function readTarget(given: URL): { ok: true; url: URL } | EgressRefusal {
  if (!isHttp(given)) return refuse('scheme')
  if (given.username !== '' || given.password !== '') return refuse('userinfo')
  const url = new URL(given)
  // `host.` and `host` are one name to DNS, and must be one name to lists and certificates.
  if (url.hostname.endsWith('.')) url.hostname = url.hostname.slice(0, -1)
  const host = hostOf(url)
  const named = host.length <= HOST_NAME_CHARS_MAX && HOST_NAME.test(host)
  return named || isIP(host) !== 0 ? { ok: true, url } : refuse('malformed')
}

/** Keeps what was found until an instant of `now`; concurrent calls to one host share one look-up. */
function rememberFindings(find: (host: string) => Promise<Finding>, now: () => number) {
  const findings = new Map<string, { readonly until: number; readonly finding: Promise<Finding> }>()

  return async (host: string): Promise<Finding & { readonly until: number }> => {
    let entry = findings.get(host)
    if (entry === undefined || now() >= entry.until) {
      findings.delete(host)
      const oldest = findings.keys().next()
      if (findings.size >= FINDINGS_MAX && !oldest.done) findings.delete(oldest.value)
      entry = { until: now() + FINDING_MS_MAX, finding: find(host) }
      findings.set(host, entry)
    }
    const found = await entry.finding
    // A failure is not kept, so that a resolver's bad moment does not outlast it.
    if (found.address === undefined && findings.get(host) === entry) findings.delete(host)
    return { ...found, until: entry.until }
  }
}

/** Asks the resolver with a time limit and a limit on how many questions are open. Never throws. */
function boundLookups(resolve: NonNullable<Options['resolve']>) {
  let open = 0

  async function ask(host: string): Promise<string[]> {
    open += 1
    try {
      const found = await resolve(host)
      return found.map(({ address }) => address).filter((address) => isIP(address) !== 0)
    } catch {
      return []
    } finally {
      open -= 1
    }
  }

  return async (host: string): Promise<string[]> => {
    if (open >= LOOKUPS_MAX) return []
    const late = Promise.withResolvers<string[]>()
    const timer = setTimeout(() => late.resolve([]), LOOKUP_MS_MAX)
    const found = await Promise.race([ask(host), late.promise])
    clearTimeout(timer)
    return found
  }
}

const isHttp = (url: URL) => url.protocol === 'http:' || url.protocol === 'https:'

/** `URL.hostname` keeps the brackets of an IPv6 address; lists, resolvers and sockets do not. */
const hostOf = (url: URL) => url.hostname.replace(/^\[(.*)\]$/, '$1')

const interfaceAddresses = () =>
  Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))

async function systemResolve(host: string) {
  const found = await lookup(host, { all: true, verbatim: true })
  return found.map(({ address }) => ({ address, family: isIP(address) === 4 ? 4 : 6 }) as const)
}

function refuse(reason: RefusalReason): EgressRefusal {
  return { ok: false, reason, message: MESSAGES[reason] }
}
