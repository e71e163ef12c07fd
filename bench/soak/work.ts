/** Calls at an even rate, and everything else that is under way at once. */

/** A call that takes longer than this has hung. */
const END_MS_MAX = 90_000
const FAILURES_SHOWN = 10

export type Work = ReturnType<typeof openWork>

/** Begins calls at an even rate, however long each of them takes. Resolves with how many there were. */
export async function drive(
  callsPerSecond: number,
  goesOn: () => boolean,
  begin: (number: number) => void,
): Promise<number> {
  const startedMs = performance.now()
  let calls = 0
  while (goesOn()) {
    const due = Math.floor(((performance.now() - startedMs) / 1000) * callsPerSecond)
    for (; calls < due; calls++) begin(calls)
    await Bun.sleep(5)
  }
  return calls
}

/** What is under way, and what of it has failed. */
export function openWork() {
  const open = new Set<Promise<unknown>>()
  const failures: string[] = []
  const timers: Timer[] = []
  const keep = (work: Promise<unknown>) => {
    const one = work.catch((error) => void failures.push(String(error)))
    open.add(one)
    void one.then(() => open.delete(one))
  }
  return {
    keep,
    every: (ms: number, work: () => Promise<void>) =>
      timers.push(setInterval(() => keep(work()), ms)),
    /** Begins nothing new, waits for the rest and resolves with the first failures. */
    async end(): Promise<string[]> {
      for (const timer of timers) clearInterval(timer)
      await Promise.race([Promise.all([...open]), Bun.sleep(END_MS_MAX)])
      if (open.size > 0) failures.push(`${open.size} of what was begun has not ended`)
      return failures.slice(0, FAILURES_SHOWN)
    },
  }
}
