/** Finds steps (`.` and `..`) in a path that one reader sees and another does not. Pure. */

/** Nobody encodes so often by mistake. */
const ROUNDS_MAX = 4

/**
 * Whether any program on the way could take a part of the path for a step: after decoding it any
 * number of times, with slashes of either kind, or with a parameter behind the dots, which some
 * servers take for `..` (`..;x`).
 */
export function hidesStep(path: string): boolean {
  let decoded = path
  for (let round = 0; decoded.includes('%'); round++) {
    if (round === ROUNDS_MAX) return true
    const before = decoded
    decoded = before.replace(/%([0-9a-f]{2})/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    if (decoded === before) break
  }
  return /(?:^|[/\\])\.{1,2}(?:[/\\;]|$)/.test(decoded)
}
