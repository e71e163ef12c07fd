/** Most of the time of the event loop is for the calls, however fast questions come and can be answered. */

/** Of five parts one is for answers: to write a large one takes a few milliseconds. */
const REST = 4

/**
 * Goes on when what has just been answered is written, and after that as much time again as the calls are due. A busy event
 * loop takes longer to come back here, and so gets more.
 */
export function pause(goOn: () => void, atLeastMs = 0): void {
  const startedMs = performance.now()
  setImmediate(() => {
    setTimeout(goOn, Math.max(atLeastMs, REST * (performance.now() - startedMs)))
  })
}
