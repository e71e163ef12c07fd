/** Servers that share a database, each a process with many lives, behind a balancer that knows nothing but who listens. */
import { type Child, createChild, type Life, send, type Target } from '../child.ts'

export type ClusterOptions = {
  readonly command: readonly string[]
  readonly replicas: number
  /** Of one of them, by its place. */
  readonly env: (place: number) => Readonly<Record<string, string>>
  readonly directory: string
}

export type Cluster = Target & {
  readonly children: readonly Child[]
  /** Lives that were ended by force. */
  killed(): ReadonlySet<number>
  /** Throws if one of them has ended by itself, or is stuck. */
  check(): void
  /** Ends all in order, at once. */
  stop(): Promise<void>
  /** Ends all in whatever state they are. */
  close(): Promise<void>
}

export function createCluster({ command, replicas, env, directory }: ClusterOptions): Cluster {
  let lives = 0
  let asked = 0
  const children = Array.from({ length: replicas }, (_, place) =>
    createChild({
      ...{ command, directory, env: env(place) },
      // Others have calls in flight while one starts.
      countHolds: () => 0,
      nextLife: () => ++lives,
    }),
  )
  const check = () => {
    for (const child of children) child.check()
  }

  async function live(place: number): Promise<Life> {
    check()
    for (let i = 0; i < replicas; i++) {
      const life = children[(place + i) % replicas]?.present()
      if (life) return life
    }
    return await Promise.race(children.map((child) => child.live()))
  }

  return {
    children,
    live,
    check,
    killed: () => new Set(children.flatMap((child) => [...child.killed])),
    request: async (path, init) => send((await live(asked++)).url + path, init),
    async stop() {
      await Promise.all(children.map((child) => child.stop()))
    },
    async close() {
      await Promise.all(children.map((child) => child.close()))
    },
  }
}
