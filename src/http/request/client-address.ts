/**
 * Finds the address of the client behind the operator's proxies. It believes only proxies that the
 * operator trusts, and each of them only about its own peer, so that it never reaches what a client
 * has written into the header itself.
 */
import { canonicalAddress, isWithin } from '../../lib/network.ts'

/** `peer` is the other end of the connection; `trusted` are addresses and networks. */
export function clientAddress(peer: string, headers: Headers, trusted: readonly string[]): string {
  const direct = canonicalAddress(peer) ?? peer
  const forwarded = headers.get('x-forwarded-for')
  if (forwarded === null || !isTrusted(direct, trusted)) return direct
  let client = direct
  // Every proxy adds its own peer at the end, so the list is read backwards.
  for (const entry of forwarded.split(',').reverse()) {
    const address = readEntry(entry.trim())
    if (address === null) return client
    client = address
    if (!isTrusted(address, trusted)) return client
  }
  return client
}

export function isTrusted(address: string, trusted: readonly string[]): boolean {
  return isWithin(address, trusted)
}

/** Some proxies add the port: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function readEntry(entry: string): string | null {
  const [, bracketed, dotted] = /^(?:\[([^\]]*)\](?::\d{1,5})?|([\d.]+):\d{1,5})$/.exec(entry) ?? []
  if (bracketed !== undefined && !bracketed.includes(':')) return null
  return canonicalAddress(bracketed ?? dotted ?? entry)
}
