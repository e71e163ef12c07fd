/**
 * `quota-proxy healthcheck`: asks the server that these settings describe whether it is alive.
 * It exits with 0 or 1 only, because Docker reserves the other codes of a health check.
 */
import { loadConfig } from '../../config/load.ts'
import { errorCode } from '../../lib/error-code.ts'
import type { CliCommand } from '../command.ts'
import { wholeNumber } from '../input.ts'
import { InvalidSettings, type Session } from '../session.ts'

/** A healthy server answers within milliseconds; container engines give up after 30 s. */
const TIMEOUT_MS = 3_000

const PAUSE_MS = 50

export function addHealthcheck(program: CliCommand): void {
  const { session } = program
  program
    .command('healthcheck')
    .summary('ask a running server whether it is alive')
    .description(
      'GET /healthz at HOST and PORT; exit code 0 if the server answers 200 within 3 seconds, else 1.',
    )
    .option(
      '--wait <seconds>',
      'ask again until it is, for as long as this',
      wholeNumber(0, WAIT_S_MAX),
      0,
    )
    .addHelpText('after', EXAMPLES)
    .action(async ({ wait }: { wait: number }) => {
      session.exitCode = await healthcheck(session, wait * 1_000)
    })
}

/** A start that takes longer than an hour has failed. */
const WAIT_S_MAX = 3_600

async function healthcheck({ env, io }: Session, waitMs: number): Promise<number> {
  const loaded = loadConfig(env)
  if (!loaded.ok) {
    io.err(`${new InvalidSettings(loaded.problems).message}\n`)
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
  const startedMs = performance.now()
  for (;;) {
    const problem = await ask(url)
    if (problem === null) {
      io.out(`healthy: ${url} answered 200\n`)
      return 0
    }
    if (performance.now() - startedMs >= waitMs) {
      io.err(`unhealthy: ${url} ${problem}\n`)
      return 1
    }
    await Bun.sleep(PAUSE_MS)
  }
}

/** Null if the server is alive. */
async function ask(url: string): Promise<string | null> {
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
    return response.status === 200 ? null : `answered ${response.status}`
  } catch (error) {
    return reason(error)
  }
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
  quota-proxy healthcheck --wait 30   (right after a start)

In a Dockerfile:
  HEALTHCHECK CMD ["quota-proxy", "healthcheck"]`
