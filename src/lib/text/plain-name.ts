/**
 * The name of a field as a message may repeat it: letters, `_` and `-`, as people name fields. Null for any other, which may
 * be a secret in the wrong place. Pure.
 */
export function plainName(name: string): string | null {
  return /^[A-Za-z][A-Za-z_-]{0,39}$/.test(name) ? name : null
}
