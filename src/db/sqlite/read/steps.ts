/**
 * A query in steps. Each step touches a bounded number of rows and takes about a millisecond at most, so that others get
 * their turn in between, whatever was asked and however much there is.
 */

/** Gives back control after each step, and the answer at its end. */
export type Steps<Answer> = Generator<undefined, Answer, undefined>

/** A query that is short by itself: it reads one page by an index. */
// biome-ignore lint/correctness/useYield: there is only one step.
export function* oneStep<Answer>(read: () => Answer): Steps<Answer> {
  return read()
}
