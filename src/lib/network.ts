/**
 * Reads IP addresses and networks as text, and writes each in one spelling. An IPv4 address that is
 * written as IPv6 (RFC 4291 section 2.5.5.2) counts as IPv4, so that neither a list nor a peer
 * depends on how a socket was opened. Pure: it reads literals and never names, and in doubt an
 * address is not in a network.
 */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { remember } from './remember.ts'

type Address = ipaddr.IPv4 | ipaddr.IPv6
type Network = { readonly address: Address; readonly bits: number }

/** Networks are few, since operators write them. Any further ones are read anew each time. */
const NETWORKS_MAX = 1000
/** The network that a single host may have of IPv6. */
const SUBSCRIBER_BITS = 64
/** The bits before the IPv4 address in an IPv6 address that holds one. */
const MAPPED_BITS = 96

const recall = remember(readNetwork, NETWORKS_MAX)

/** Without a zone; null if the text is no address. */
export function canonicalAddress(text: string): string | null {
  // There is only one spelling.
  if (isIP(text) === 4) return text
  return readAddress(text)?.toString() ?? null
}

/**
 * An address, or an address and a number of bits (RFC 4632 section 3.1), without the bits that the
 * number leaves open.
 */
export function canonicalNetwork(text: string): string | null {
  const network = readNetwork(text)
  if (!network) return null
  const { address, bits } = network
  return bits === bitsOf(address) ? address.toString() : `${address}/${bits}`
}

/**
 * What one subscriber has for itself, as far as anybody can tell: an IPv4 address, and of IPv6 a
 * whole /64, in which a host gives itself as many addresses as it likes (RFC 6177, RFC 8981). A
 * text that is no address stands for itself.
 */
export function subscriberOf(text: string): string {
  const address = canonicalAddress(text) ?? text
  return canonicalNetwork(`${address}/${address.includes(':') ? SUBSCRIBER_BITS : 32}`) ?? address
}

export function isWithin(address: string, networks: readonly string[]): boolean {
  const read = readAddress(address)
  if (!read) return false
  return networks.some((text) => {
    const network = recall(text)
    return network?.address.kind() === read.kind() && read.match(network.address, network.bits)
  })
}

function readAddress(text: string): Address | null {
  // isIP is strict. ipaddr.js alone would also read octal, hex and short forms.
  return isIP(text) === 0 ? null : ipaddr.process(text.replace(/%.*/, ''))
}

function readNetwork(text: string): Network | null {
  const [, host = '', length] = /^([^/%]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  const address = readAddress(host)
  if (!address) return null
  const most = bitsOf(address)
  const mapped = address.kind() === 'ipv4' && host.includes(':')
  const bits = length === undefined ? most : Number(length) - (mapped ? MAPPED_BITS : 0)
  if (bits < 0 || bits > most) return null
  const family = address.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6
  return { address: family.networkAddressFromCIDR(`${address}/${bits}`), bits }
}

function bitsOf(address: Address): number {
  return address.kind() === 'ipv4' ? 32 : 128
}
