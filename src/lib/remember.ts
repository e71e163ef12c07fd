/**
 * Remembers the results of a pure function for at most `max` arguments; the oldest goes first. Use
 * it only where making a result costs more than looking it up.
 */
export function remember<Made>(make: (text: string) => Made, max: number): (text: string) => Made {
  const kept = new Map<string, Made>()

  return (text) => {
    const known = kept.get(text)
    if (known !== undefined) return known
    const made = make(text)
    const oldest = kept.keys().next()
    if (kept.size >= max && !oldest.done) kept.delete(oldest.value)
    kept.set(text, made)
    return made
  }
}
