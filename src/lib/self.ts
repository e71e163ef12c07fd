/** How this program starts itself again: as the binary that it is, or as the source under Bun. */
export const SELF: readonly string[] =
  Bun.main.startsWith('/$bunfs/') || Bun.main.startsWith('B:\\~BUN')
    ? [process.execPath]
    : [process.execPath, Bun.main]
