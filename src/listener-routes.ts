/**
 * What is served at which listener. Whatever is not for a listener is not found there, as if it did not exist: no spelling of a
 * path can open it, because what is open is listed and not what is closed.
 */
import type { ListenerKind } from './http/request/sender.ts'

const PROBES = ['/healthz', '/readyz']
const HOLDERS = ['/me']
/** What a browser asks for at a bare address. */
const PAGES = ['/', '/favicon.ico']
const OPERATORS = ['/admin', '/metrics', '/swagger']

/** `hasAdminListener` says that there is a listener of its own for the operator. Paths of calls are not asked about here. */
export function isServed(path: string, listener: ListenerKind, hasAdminListener: boolean): boolean {
  switch (listener) {
    case 'main':
      return !hasAdminListener || PAGES.includes(path) || isUnder(path, [...PROBES, ...HOLDERS])
    case 'metrics':
      return isUnder(path, [...PROBES, '/metrics'])
    case 'admin':
      return PAGES.includes(path) || isUnder(path, [...PROBES, ...OPERATORS])
    case 'control':
      return isUnder(path, [...PROBES, ...OPERATORS])
  }
}

/** Calls are for the holders of keys. */
export function takesCalls(listener: ListenerKind): boolean {
  return listener === 'main'
}

function isUnder(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(`${root}/`))
}
