/** Where clients wait for a life of the server that answers. Once it has failed, it stays so. */

/** A life of the server that answers. */
export type Life = { readonly number: number; readonly url: string; readonly port: number }

export type Gate = ReturnType<typeof createGate>

export function createGate() {
  let failure: Error | null = null
  let waiting = createWait()
  let open: Life | null = null

  /** Whoever waits goes on waiting, for the next life. */
  function shut(): void {
    if (open) waiting = createWait()
    open = null
  }

  return {
    passed: (): Promise<Life> => waiting.promise,
    present: (): Life | null => open,

    open(life: Life): void {
      open = life
      waiting.resolve(life)
    },

    shut,

    /** Returns the first failure, for whoever throws it. */
    fail(message: string): Error {
      failure ??= new Error(message)
      shut()
      waiting.reject(failure)
      return failure
    },

    check(): void {
      if (failure) throw failure
    },
  }
}

function createWait() {
  const wait = Promise.withResolvers<Life>()
  // A life may fail while nobody waits for it.
  wait.promise.catch(() => {})
  return wait
}
