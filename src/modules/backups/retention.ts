/** Which backups are to go. Pure. */

const DAY_MS = 86_400_000

export type Keep = {
  /** At most so many. */
  readonly count: number
  /** And none older than this. */
  readonly days: number
}

/** The newest that is sound stays, whatever its age. What is unsound does not count, and goes by its age alone. */
export function expired<T extends { readonly at: number; readonly problem: string | null }>(
  newestFirst: readonly T[],
  { count, days }: Keep,
  now: number,
): T[] {
  const isOld = ({ at }: T) => at < now - days * DAY_MS
  const sound = newestFirst.filter(({ problem }) => problem === null)
  const kept = new Set(sound.filter((one, i) => i === 0 || (i < count && !isOld(one))))
  return newestFirst.filter((one) => !kept.has(one) && (one.problem === null || isOld(one)))
}
