/**
 * Tells which IP addresses belong to the public internet. Pure: it reads literals, never names.
 * In doubt an address is not public.
 */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** What IANA hands out as global unicast, a /3: every other IPv6 prefix is special or reserved. */
const GLOBAL_UNICAST = ipaddr.IPv6.parse('2000::')

/** Azure's WireServer: a metadata service that sits at a public address, for Azure's guests only. */
const AZURE_METADATA = '168.63.129.16'

/** Whether an IP literal is one that anybody on the internet could be given. */
export function isPublicAddress(address: string): boolean {
  // Strict before lenient: ipaddr.js would also read octal, hex and short forms.
  if (isIP(address) === 0 || address.includes('%') || address === AZURE_METADATA) return false
  const parsed = ipaddr.parse(address)
  // The named ranges hold 6to4, Teredo and NAT64 too: whatever they embed, they are refused whole.
  if (parsed.range() !== 'unicast') return false
  return parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_UNICAST, 3)
}

/** One spelling per address, without a zone, so that equal addresses are equal strings. */
export function canonicalAddress(address: string): string {
  return ipaddr.parse(address.replace(/%.*/, '')).toString()
}
