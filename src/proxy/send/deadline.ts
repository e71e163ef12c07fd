/** Bounds a call in time: in whole, until the head of the answer, and in silence; and by its client staying. */

export type Timeouts = {
  readonly totalMs: number
  /** Until the head of the answer. */
  readonly firstByteMs: number
  /** Between two pieces of the answer; null waits for as long as the call may take. */
  readonly idleMs: number | null
}

export type Deadline = {
  readonly signal: AbortSignal
  /** Something has passed: the silence starts anew. */
  touch(): void
  /** Whether it is the client who is waited for, so that a silence is not the upstream's. */
  waitForClient(waits: boolean): void
  /** The head of the answer has come: from here on silence is bounded by `idleMs`. */
  answered(idleMs: number | null): void
  /** Why the call was given up; null if it was not. */
  cause(): 'client_aborted' | 'upstream_timeout' | null
  /** Gives the call up, because the client has. */
  abandon(): void
  /** Stops the timers; must be called on every exit. */
  end(): void
}

export function startDeadline(client: AbortSignal, { totalMs, firstByteMs }: Timeouts): Deadline {
  const controller = new AbortController()
  let cause: 'client_aborted' | 'upstream_timeout' | null = null
  const give = (why: 'client_aborted' | 'upstream_timeout') => {
    cause ??= why
    controller.abort()
  }
  let isClientSlow = false
  const late = () => give('upstream_timeout')
  const silent = () => give(isClientSlow ? 'client_aborted' : 'upstream_timeout')
  const left = () => give('client_aborted')
  const total = setTimeout(late, totalMs)
  let silenceMs: number | null = firstByteMs
  let silence = setTimeout(silent, firstByteMs)
  if (client.aborted) left()
  else client.addEventListener('abort', left, { once: true })
  return {
    signal: controller.signal,
    touch() {
      if (silenceMs !== null) silence.refresh()
    },
    waitForClient(waits) {
      isClientSlow = waits
      if (silenceMs !== null) silence.refresh()
    },
    answered(idleMs) {
      if (idleMs === silenceMs) return
      clearTimeout(silence)
      silenceMs = idleMs
      if (idleMs !== null) silence = setTimeout(silent, idleMs)
    },
    cause: () => cause,
    abandon: left,
    end() {
      clearTimeout(total)
      clearTimeout(silence)
      silenceMs = null
      client.removeEventListener('abort', left)
    },
  }
}
