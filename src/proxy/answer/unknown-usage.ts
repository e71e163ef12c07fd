/**
 * Tells of reports that nobody understands: once for each upstream and set of names. What upstreams send cannot fill the log or
 * the memory.
 */

/** An API has a few such sets; one that has more makes names up. */
const SETS_MAX = 10
/** Far more than anybody has; beyond it the first are told of again. */
const UPSTREAMS_MAX = 1000

export type OnUnknownUsage = (upstream: string, names: readonly string[]) => void

export function onceEach(tell: OnUnknownUsage): OnUnknownUsage {
  const told = new Map<string, Set<string>>()
  return (upstream, names) => {
    const sets = told.get(upstream) ?? new Set()
    const set = names.join(' ')
    if (sets.has(set) || sets.size >= SETS_MAX) return
    if (told.size >= UPSTREAMS_MAX) told.clear()
    told.set(upstream, sets.add(set))
    tell(upstream, names)
  }
}
