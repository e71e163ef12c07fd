/**
 * `quota-proxy healthcheck`: asks the server that these settings describe whether it is alive.
 * It exits with 0 or 1 only, because Docker reserves the other codes of a health check.
 */

import type { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { errorCode } from '../lib/error-code.ts'
import { printProblems } from './config.ts'
import type { Session } from './program.ts'

/** A healthy server answers within milliseconds; container engines give up after 30 s by default. */
const TIMEOUT_MS = 3_000

export function addHealthcheck(program: Command, session: Session): void {
  program
    .command('healthcheck')
    .summary('ask a running server whether it is alive')
    .description(
      'GET /healthz at HOST and PORT; exit code 0 if the server answers 200 within 3 seconds, else 1.',
    )
    .addHelpText('after', EXAMPLES)
    .action(async () => {
      session.exitCode = await healthcheck(session)
    })
}

async function healthcheck({ env, io }: Session): Promise<number> {
  const loaded = loadConfig(env)
  if (!loaded.ok) {
    printProblems(loaded.problems, io)
    return 1
  }
  const { host, port, tlsCertFile } = loaded.config
  if (port === 0) {
    io.err(
      'unhealthy: with PORT=0 the port is not known; set the one that the server listens on.\n',
    )
    return 1
  }
  const url = `${tlsCertFile === undefined ? 'http' : 'https'}://${reachable(host)}:${port}/healthz`
  try {
    const response = await fetch(url, {
      // HTTP_PROXY is for calls to the outside; through it, this would ask about another machine.
      proxy: false,
      redirect: 'manual',
      // Asked by its address, of which no certificate knows; nothing secret is sent.
      tls: { rejectUnauthorized: false },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    await response.body?.cancel()
    if (response.status === 200) {
      io.out(`healthy: ${url} answered 200\n`)
      return 0
    }
    io.err(`unhealthy: ${url} answered ${response.status}\n`)
  } catch (error) {
    io.err(`unhealthy: ${url} ${reason(error)}\n`)
  }
  return 1
}

/** The wildcard addresses are for listening only. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return `failed: ${String(error)}`
  if (error.name === 'TimeoutError') return `gave no answer within ${TIMEOUT_MS} ms`
  const code = errorCode(error) || error.message
  return code === 'ECONNREFUSED'
    ? 'refused the connection: is the server running?'
    : `failed (${code})`
}

const EXAMPLES = `
Examples:
  quota-proxy healthcheck
  PORT=9000 quota-proxy healthcheck

In a Dockerfile:
  HEALTHCHECK CMD ["quota-proxy", "healthcheck"]`
