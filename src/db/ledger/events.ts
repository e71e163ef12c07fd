/** Who hears of what the ledger meets. */

export type LedgerEvents = {
  /** The store has failed; not called again until it has recovered. */
  onFailure(error: unknown): void
  onRecovery(): void
  /** The store rejects this one call by itself, a defect: it is given up so that the others can go on. */
  onRejected(error: unknown): void
}

/** Told of every transaction, to count them. */
export type LedgerWatcher = {
  committed(jobs: number, ms: number): void
  failed(): void
}
