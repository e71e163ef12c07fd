/** What the benchmark knows of a program that it measures beside quota-proxy. */
import type { Traffic } from '../load/wrk.ts'
import type { Server, Workspace } from '../workspace.ts'

export type PeerSetup = {
  readonly workspace: Workspace
  readonly upstream: Server
  /** One key a line, for peers that know keys. */
  readonly keysFile: string
  /** Whether a peer may be installed into the directory of the run. */
  readonly install: boolean
  say(line: string): void
}

export type Started =
  | {
      readonly ok: true
      /** Its name with its version. */
      readonly label: string
      readonly server: Server
      readonly traffic: Traffic
    }
  /** One sentence that says why it is not measured. */
  | { readonly ok: false; readonly reason: string }

export type Peer = {
  readonly name: string
  /** What it does less or more than quota-proxy, in one sentence. */
  readonly note: string
  /** Rejects if what is there does not work. */
  start(setup: PeerSetup): Promise<Started>
}

export const NOT_ASKED = 'It is installed for a run with `--peers` only.'

/** What a program says about its version, wherever it says it. */
export function versionOf(command: readonly string[], pattern: RegExp): string {
  const { stdout, stderr } = Bun.spawnSync([...command])
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? 'of unknown version'
}

/** Debian keeps servers where only root's PATH looks. */
export function findServer(name: string): string | null {
  return Bun.which(name) ?? Bun.which(name, { PATH: '/usr/sbin:/usr/local/sbin' })
}
