/**
 * The one instant that everything in a release bears, so that two builds of one commit are the same bytes: that of
 * `SOURCE_DATE_EPOCH`, or else that of the commit. It never reads the clock.
 */

/** In seconds. */
export function sourceDate(): number {
  const given = process.env['SOURCE_DATE_EPOCH']
  const git = () => Bun.spawnSync(['git', 'log', '-1', '--format=%ct']).stdout.toString()
  const seconds = Number((given ?? git()).trim() || Number.NaN)
  if (!Number.isSafeInteger(seconds))
    throw new Error('Set SOURCE_DATE_EPOCH: there is no commit to ask.')
  return seconds
}
