/** The only reader of the time of day. Everything else is given an instant, so that tests can choose it. */

/** Milliseconds since the epoch, UTC. */
export type Clock = () => number

export const systemClock: Clock = () => Date.now()

/** An instant as the API writes it: ISO 8601 UTC, with milliseconds only if it has any (`2026-02-17T00:00:00Z`). */
export function formatInstant(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z')
}
