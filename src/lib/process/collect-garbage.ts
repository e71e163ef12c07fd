/**
 * Memory that bodies have left behind is freed when garbage is next collected, and Bun is late with that: most of the memory is
 * outside of the heap that it watches (1.4.5). Whoever knows that much has just become free asks for it here.
 */

/** A collection stops the event loop for some ten milliseconds. */
const PAUSE_MS = 250

let isDue = false

export function collectGarbageSoon(): void {
  if (isDue) return
  isDue = true
  setTimeout(() => {
    isDue = false
    Bun.gc(true)
  }, PAUSE_MS)
}
