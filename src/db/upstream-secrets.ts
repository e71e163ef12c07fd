/** The secrets of upstreams in a store: sealed, and bound to the row that they are in. */
import { AppError } from '../errors.ts'
import type { Sealer } from '../lib/seal.ts'

type Row = { readonly name: string; readonly credential: string | null }

export type UpstreamSecrets = {
  seal(name: string, secret: string | null): string | null
  /** Throws an AppError that says what to do if the secret cannot be opened. */
  open(row: Row): string | null
  /** Whether there is a secret that cannot be opened. */
  isLost(row: Row): boolean
}

export function createUpstreamSecrets(sealer: Sealer): UpstreamSecrets {
  return {
    seal: (name, secret) => (secret === null ? null : sealer.seal(secret, placeOf(name))),

    open({ name, credential }) {
      if (credential === null) return null
      const opened = sealer.open(credential, placeOf(name))
      if (opened.ok) return opened.text
      throw new AppError(
        'storage_unavailable',
        `The credential of the upstream "${name}" cannot be opened. ${opened.message}`,
      )
    },

    isLost: ({ name, credential }) =>
      credential !== null && !sealer.open(credential, placeOf(name)).ok,
  }
}

/** Binds a sealed secret to its table, column and row: moved to another row, it is not opened. */
function placeOf(name: string): string {
  return `upstreams.credential:${name}`
}
