/** Steps (`.` and `..`) in a path that are written so that one reader sees them and another does not. Pure. */

/** Deeper than anybody encodes by mistake. */
const ROUNDS_MAX = 4

/**
 * Whether anything on the way could take a part of the path for a step: after decoding it as often as it likes, with
 * slashes of either kind, and with a parameter behind the dots, which some servers take for `..` (`..;x`).
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
