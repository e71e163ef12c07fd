/**
 * Remembers which upstreams refuse `stream_options`, which the proxy adds to streams so that they report. Only a request that
 * was refused with the option and taken without it proves that: what a holder can bring about is no proof.
 */

/** What was asked where: an upstream, a path and a model, since some upstreams are many. */
export type Wish = string

export type UsageWishes = {
  mayAsk(wish: Wish): boolean
  /** The upstream has refused the wish, and has taken the same request without it. */
  noteRefused(wish: Wish): void
}

/** An upstream that learns the option is asked again after so long. */
const REMEMBERED_MS = 3_600_000
/** Upstreams are few, and so are the models that are streamed. */
const WISHES_MAX = 1000

export function createUsageWishes(now: () => number = () => performance.now()): UsageWishes {
  const refused = new Map<Wish, number>()
  return {
    mayAsk: (wish) => (refused.get(wish) ?? 0) < now(),
    noteRefused(wish) {
      refused.delete(wish)
      const oldest = refused.size < WISHES_MAX ? undefined : refused.keys().next().value
      if (oldest !== undefined) refused.delete(oldest)
      refused.set(wish, now() + REMEMBERED_MS)
    },
  }
}

/** Longer than any path and any name of a model that are in use. */
const WISH_CHARS_MAX = 1000

export function wishOf(upstream: string, path: string, model: string | null): Wish {
  return `${upstream}\n${path}\n${model}`.slice(0, WISH_CHARS_MAX)
}
