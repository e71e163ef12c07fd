/** Lengths of time in milliseconds, and an instant for tests to which any would do. */

export const SECOND = 1_000
export const HOUR = 3_600 * SECOND
export const DAY = 24 * HOUR

/** A Wednesday, 12:00 UTC. */
export const NOON = Date.UTC(2026, 5, 10, 12)
