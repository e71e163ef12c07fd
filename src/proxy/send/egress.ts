/**
 * Decides where a call may go, before anything is charged and before a socket is opened.
 * An allowed target comes back with one checked IP address, and that address, never the name, is
 * what the caller connects to: a name that changes its answer later changes nothing.
 * It never echoes the input and never tells the name of a private target from one that does not
 * exist, so that a key holder cannot map the operator's network with it.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import {
  checkTarget,
  type EgressAllowEntry,
  type EgressMode,
  type EgressRefusal,
  egressRefusal,
  hostOf,
  privateRefusal,
} from '../../domain/egress.ts'
import { canonicalAddress, isPublicAddress } from './egress-address.ts'

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

/** Long enough to take the resolver off a busy path, short enough to follow a DNS failover. */
const FINDING_MS_MAX = 10_000
/** A few hundred KiB at most; a server that calls more hosts than this only resolves more often. */
const FINDINGS_MAX = 1000
/** The system resolver's own default for one try. */
const LOOKUP_MS_MAX = 5000
/** A flood of slow names must not queue without end behind the system resolver's few threads. */
const LOOKUPS_MAX = 256

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
    if (address === undefined) return egressRefusal('no_address')
    const checked: Checked = { ok: true, destination: destinationOf(url, address) }
    named.set(url, { until, checked })
    return checked
  }

  async function checkOther(given: URL): Promise<Checked> {
    if (mode === 'off') return egressRefusal('off')
    const target = checkTarget(given)
    if (!target.ok) return target
    const { url } = target
    const host = hostOf(url)
    const port = portOf(url)
    const listed = allow.filter(
      (entry) => entry.host === host && (entry.port === undefined || entry.port === port),
    )
    if (mode === 'listed' && listed.length === 0) return egressRefusal('not_listed')
    if (BAD_PORTS.has(port) && !listed.some((entry) => entry.port === port))
      return egressRefusal('port')

    const { address, open } = await recall(host)
    // Of a name that the operator has listed, everybody may know that.
    if (address === undefined)
      return egressRefusal(listed.length > 0 ? 'no_address' : 'unresolvable')
    if (!open && listed.length === 0) return privateRefusal(host)
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

const interfaceAddresses = () =>
  Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))

async function systemResolve(host: string) {
  const found = await lookup(host, { all: true, verbatim: true })
  return found.map(({ address }) => ({ address, family: isIP(address) === 4 ? 4 : 6 }) as const)
}
