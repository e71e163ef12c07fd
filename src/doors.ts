/**
 * What is served at which listener. Whatever is not for a door is not found there, as if it did not exist: no spelling of a
 * path can open it, because what is open is listed and not what is closed.
 */
import type { Door } from './http/request-name.ts'

const PROBES = ['/healthz', '/readyz']
const HOLDERS = ['/me']
const OPERATORS = ['/admin', '/metrics', '/swagger']

/** `hasAdminDoor` says that there is a listener of its own for the operator. Paths of calls are not asked about here. */
export function isServed(path: string, door: Door, hasAdminDoor: boolean): boolean {
  switch (door) {
    case 'main':
      return !hasAdminDoor || isUnder(path, [...PROBES, ...HOLDERS])
    case 'metrics':
      return isUnder(path, [...PROBES, '/metrics'])
    case 'admin':
    case 'control':
      return isUnder(path, [...PROBES, ...OPERATORS])
  }
}

/** Calls are for the holders of keys. */
export function takesCalls(door: Door): boolean {
  return door === 'main'
}

function isUnder(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(`${root}/`))
}
