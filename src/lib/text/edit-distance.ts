/**
 * How many single-character insertions, deletions and replacements turn one text into the other
 * (Levenshtein). Meant for short names: its time grows with the product of the two lengths.
 */
export function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (const [row, wanted] of [...from].entries()) {
    const current = [row + 1]
    for (const [column, found] of [...to].entries()) {
      const replaced = (previous[column] ?? 0) + (wanted === found ? 0 : 1)
      const removed = (previous[column + 1] ?? 0) + 1
      const inserted = (current[column] ?? 0) + 1
      current.push(Math.min(replaced, removed, inserted))
    }
    previous = current
  }
  return previous.at(-1) ?? 0
}
