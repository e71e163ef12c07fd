/**
 * The WebSockets that are open, so that none outlives its right to be. Twice a second, while there are any, the store is
 * asked by one query whether their keys may still be used; and their upstreams must be as they were.
 */
import type { FindStandings } from '../../domain/key.ts'
import { UNKNOWN_KEY, whyUnusable } from '../../domain/key.ts'
import type { Upstream, Upstreams } from '../../domain/upstream.ts'
import type { Clock } from '../../lib/clock.ts'
import { GOING_AWAY, POLICY, reasonOf } from './reason.ts'

/** A key that may no longer be used has its sockets for a second at most, with room for a server that is busy. */
const LOOK_MS = 500

export type OpenSocket = {
  /** Of the secret that opened it: once that is replaced, the socket is as good as stolen. */
  readonly hash: Buffer
  /** As it was when the socket was opened. */
  readonly upstream: Upstream | null
  /** Only the first time counts. */
  end(code: number, reason: string): void
}

export type OpenSockets = {
  /** Returns a function that forgets it. */
  add(socket: OpenSocket): () => void
}

export type OpenSocketsOptions = {
  readonly standings: FindStandings
  readonly upstreams: () => Pick<Upstreams, 'byName'>
  readonly clock: Clock
}

export function createOpenSockets({
  standings,
  upstreams,
  clock,
}: OpenSocketsOptions): OpenSockets {
  const open = new Set<OpenSocket>()
  let timer: Timer | null = null
  let isLooking = false

  async function look(): Promise<void> {
    if (isLooking) return
    isLooking = true
    try {
      for (const socket of open) endIfMoved(socket, upstreams())
      await endUnusable([...open])
    } catch {
      // The store fails, which it says itself. Nothing is known of the keys until it is back.
    } finally {
      isLooking = false
    }
  }

  async function endUnusable(sockets: readonly OpenSocket[]): Promise<void> {
    const hashes = new Map(sockets.map(({ hash }) => [hash.toString('hex'), hash]))
    const found = await standings([...hashes.values()])
    const at = clock()
    for (const { hash, end } of sockets) {
      const standing = found.get(hash.toString('hex'))
      const refusal = standing ? whyUnusable(standing, at) : UNKNOWN_KEY
      if (refusal) end(POLICY, reasonOf(refusal))
    }
  }

  return {
    add(socket) {
      open.add(socket)
      timer ??= setInterval(() => void look(), LOOK_MS)
      return () => {
        open.delete(socket)
        if (open.size > 0 || timer === null) return
        clearInterval(timer)
        timer = null
      }
    },
  }
}

function endIfMoved({ upstream, end }: OpenSocket, { byName }: Pick<Upstreams, 'byName'>): void {
  if (upstream === null) return
  const now = byName(upstream.name)
  if (now === null || now.settings.websocketMs === null) {
    end(GOING_AWAY, 'the upstream is no longer open for WebSockets')
  } else if (isMoved(upstream, now)) {
    end(GOING_AWAY, 'the upstream was changed; open the socket again')
  }
}

/** Whether a socket that is opened now would lead elsewhere, or there by another right. */
function isMoved(then: Upstream, now: Upstream): boolean {
  return (
    then.baseUrl.href !== now.baseUrl.href ||
    then.secret !== now.secret ||
    !Bun.deepEquals(then.settings.credential, now.settings.credential)
  )
}
