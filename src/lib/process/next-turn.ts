/** Resolves when the event loop has looked at every socket once more. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
