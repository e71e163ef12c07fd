/**
 * Keeps what a pure function made of its argument, for so many arguments and no more; the oldest goes first. Only for
 * what is dearer to make than to look up.
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
