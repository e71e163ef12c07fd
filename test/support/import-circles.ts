/** Finds files that import themselves by way of others. */

/** By file, the files that it imports. */
export type Imports = ReadonlyMap<string, readonly string[]>

/** For each file on a circle its shortest one, which begins and ends with it; a file is on one of them only. */
export function circlesIn(imports: Imports): string[][] {
  const circles: string[][] = []
  const seen = new Set<string>()
  for (const file of imports.keys()) {
    if (seen.has(file)) continue
    const circle = shortestCircle(imports, file)
    if (!circle) continue
    circles.push(circle)
    for (const one of circle) seen.add(one)
  }
  return circles
}

/** The shortest way from the file back to it; null if there is none. */
function shortestCircle(imports: Imports, start: string): string[] | null {
  const ways = [[start]]
  const reached = new Set<string>()
  // The list grows while it is walked, by files that no shorter way has reached.
  for (const way of ways) {
    for (const next of imports.get(way.at(-1) ?? start) ?? []) {
      if (next === start) return [...way, start]
      if (reached.has(next)) continue
      reached.add(next)
      ways.push([...way, next])
    }
  }
  return null
}
