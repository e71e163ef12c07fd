/** How whoever waits for long work is told how far it has come. */
export type Watch = {
  /** The work begins: it is about so many bytes. */
  begin(bytes: number): void
  /** A share of the whole work is done. All shares together are 1. */
  step(share: number): void
}

/** Nobody waits. */
export const UNWATCHED: Watch = { begin() {}, step() {} }

/** One of several parts of the work, of which this is so large a share. */
export function partOf(watch: Watch, share: number): (done: number) => void {
  return (done) => watch.step(done * share)
}
