/** One request of a command to a running server, over TCP or over its control socket. */
import { connect } from 'node:net'
import { controlSocketPath } from '../data-dir/directory.ts'
import { errorCode } from '../lib/error-code.ts'
import type { Answer } from './admin.ts'

export type Target = {
  /** Without a slash at its end. */
  readonly base: string
  /** Absent on the control socket, which needs none. */
  readonly token?: string
  readonly socket?: string
  readonly ca?: string | undefined
  /** Whether HTTP_PROXY and HTTPS_PROXY count. */
  readonly usesProxy?: boolean
}

/** An examination of a large database takes minutes; everything else is done within a second. */
const TIMEOUT_MS = 10 * 60_000

/** On this machine a server accepts at once, or does not run. */
const CONNECT_MS = 2_000

export async function send(
  target: Target,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const { base, token, socket, ca, usesProxy = false } = target
  const response = await reach(base, () =>
    fetch(base + path, {
      method,
      headers: {
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      // The token is for the server that was named and for no other.
      redirect: 'manual',
      ...(socket !== undefined && { unix: socket }),
      ...(ca !== undefined && { tls: { ca } }),
      ...(!usesProxy && { proxy: false }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    }),
  )
  if (response.status >= 300 && response.status < 400)
    throw new Error(`${base} answered ${response.status}: give --url the address it redirects to.`)
  const text = await reach(base, () => response.text())
  return { status: response.status, body: parse(text) }
}

/** Null unless it is http or https with nothing that would be lost or seen. */
export function asUrl(text: string): { base: string; isExposed: boolean; isLocal: boolean } | null {
  const url = URL.parse(text)
  if (!url || !/^https?:$/.test(url.protocol)) return null
  if (url.username || url.password || url.search || url.hash) return null
  const isLocal = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(url.hostname)
  const isExposed = url.protocol === 'http:' && !isLocal
  return { base: url.href.replace(/\/+$/, ''), isExposed, isLocal }
}

export function socketOf(dataDir: string): string {
  return controlSocketPath(dataDir)
}

/** Whether a server listens there; one that was killed leaves a socket that refuses. */
export function connects(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket)
    const finish = (answer: boolean) => {
      connection.destroy()
      resolve(answer)
    }
    connection.once('connect', () => finish(true))
    connection.once('error', () => finish(false))
    connection.setTimeout(CONNECT_MS, () => finish(false))
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function reach<T>(base: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new Error(`${base} cannot be reached: ${reason(error)}`, { cause: error })
  }
}

function reason(error: unknown): string {
  const code = errorCode(error)
  if (code === 'ConnectionRefused' || code === 'ECONNREFUSED')
    return 'nobody listens there. Is the server running?'
  return error instanceof Error ? error.message : String(error)
}
