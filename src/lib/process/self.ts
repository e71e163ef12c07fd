/** Whether this is the binary, and not the source under Bun. */
export const IS_BINARY = Bun.main.startsWith('/$bunfs/') || Bun.main.startsWith('B:\\~BUN')

/** How this program starts itself again: as the binary that it is, or as the source under Bun. */
export const SELF: readonly string[] = IS_BINARY ? [process.execPath] : [process.execPath, Bun.main]
