/**
 * What keeps a server from starting on PostgreSQL, in one sentence that says what to do. What the server has said is passed
 * on where it helps. No password is in it: neither the server nor the driver ever repeats one.
 */
import { StoreFailure } from '../../../domain/store.ts'
import { AppError, DatabaseUnusable } from '../../../errors.ts'
import { errorCode } from '../../../lib/error-code.ts'

/** As `server_version_num` has it: the first with all that our statements use. */
export const VERSION_MIN = 150_000

type Rule = {
  /** Of an SQLSTATE, of the system or of the TLS library; whole. */
  readonly code?: RegExp
  readonly message?: RegExp
  /** What to do. `said` is what the server, or whoever failed, has said. */
  readonly advice: (said: string) => string
}

/** The first that fits is taken. */
const RULES: readonly Rule[] = [
  {
    // tls.ts has said what to do.
    code: /storage_unavailable/,
    advice: (said) => said,
  },
  {
    message: /password must be a non-empty string|empty password/,
    advice: () =>
      'PostgreSQL asks for a password, and DATABASE_URL has none: write postgres://user:password@host/database.',
  },
  {
    code: /28P01/,
    advice: (said) =>
      `PostgreSQL refuses to let us in (${said}). Correct the user and the password in DATABASE_URL, and write special characters there as %XX.`,
  },
  {
    code: /28000/,
    message: /no encryption|SSL off/,
    advice: (said) =>
      `PostgreSQL has no rule that lets us in without TLS (${said}). Set sslmode=verify-full (or require) in DATABASE_URL, or add a rule to pg_hba.conf.`,
  },
  {
    code: /28.../,
    advice: (said) =>
      `PostgreSQL refuses to let us in (${said}). Correct DATABASE_URL, or add the user, the database and this host to pg_hba.conf.`,
  },
  {
    code: /3D000/,
    advice: (said) =>
      `There is no such database (${said}). Create it (CREATE DATABASE), or correct DATABASE_URL.`,
  },
  {
    message: /no such database/,
    advice: (said) =>
      `The pooler knows no such database (${said}). Add it to the pooler, or correct DATABASE_URL.`,
  },
  {
    message: /statement pooling mode/,
    advice: () =>
      'The pooler in front of PostgreSQL takes single statements only. Set its pool_mode to transaction, or connect to PostgreSQL directly.',
  },
  {
    code: /25006/,
    advice: (said) =>
      `PostgreSQL is read-only (${said}). Let DATABASE_URL name the primary, or all servers: host1:5432,host2:5432.`,
  },
  {
    code: /42501|3F000/,
    advice: (said) =>
      `The user of DATABASE_URL lacks rights (${said}). Make it the owner of the database (ALTER DATABASE … OWNER TO …), or grant it CREATE on the schema.`,
  },
  {
    code: /53300/,
    advice: (said) =>
      `PostgreSQL has no connection left (${said}). Raise max_connections, or put a pooler in front of it; each replica takes up to nine.`,
  },
  {
    code: /53100/,
    advice: (said) =>
      `The disk of PostgreSQL is full (${said}). Make room there, then start again.`,
  },
  {
    code: /57P0[1-5]/,
    advice: (said) =>
      `PostgreSQL is starting, stopping or recovering (${said}). Start again when it takes connections.`,
  },
  {
    code: /ECONNREFUSED/,
    advice: (said) =>
      `Nobody takes connections where DATABASE_URL points (${said || 'ECONNREFUSED'}). Start PostgreSQL, or correct the host and the port.`,
  },
  {
    code: /ENOTFOUND|EAI_AGAIN|EAI_FAIL|EAI_NODATA|EAI_NONAME|DNS_.+/,
    advice: (said) =>
      `The host in DATABASE_URL has no address (${said}). Correct it, or see why this machine cannot look names up.`,
  },
  {
    code: /EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|EADDRNOTAVAIL/,
    advice: (said) =>
      `The host in DATABASE_URL cannot be reached (${said}). Correct it, or let this machine through to it.`,
  },
  {
    code: /ETIMEDOUT|CONNECTION/,
    message: /timeout|timed out/i,
    advice: () =>
      'PostgreSQL does not answer at the host and port of DATABASE_URL. Correct them, or let this machine through the firewall to it.',
  },
  {
    message: /does not support SSL/,
    advice: () =>
      'PostgreSQL speaks no TLS there. Turn it on (ssl = on), or set sslmode=disable in DATABASE_URL if nobody can listen in between.',
  },
  {
    message: /error establishing an SSL connection/,
    advice: () =>
      'What answers at the host and port of DATABASE_URL is not PostgreSQL. Correct them.',
  },
  {
    code: /ERR_TLS_CERT_ALTNAME_INVALID/,
    advice: (said) =>
      `The certificate of PostgreSQL is for another host (${said}). Let DATABASE_URL have the name in the certificate, or set sslmode=verify-ca.`,
  },
  {
    code: /CERT_HAS_EXPIRED|CERT_NOT_YET_VALID/,
    advice: (said) =>
      `The certificate of PostgreSQL is not valid today (${said}). Renew it, or set the clock.`,
  },
  {
    code: /.*SELF_SIGNED.*|UNABLE_TO_(?:VERIFY|GET).*|CERT_UNTRUSTED|CERT_SIGNATURE_FAILURE|INVALID_CA/,
    advice: (said) =>
      `Nobody we trust has signed the certificate of PostgreSQL (${said}). Name the certificate of its authority: sslrootcert=/path/ca.pem in DATABASE_URL.`,
  },
  {
    code: /EPROTO|ERR_SSL_.+|ERR_OSSL_.+|ERR_TLS_.+|CERT_.+/,
    advice: (said) =>
      `TLS with PostgreSQL fails (${said}). See sslmode, sslrootcert, sslcert and sslkey in DATABASE_URL.`,
  },
  {
    code: /CONNECTION|ECONNRESET|EPIPE/,
    message: /terminated|reset|closed|EPIPE/i,
    advice: (said) =>
      `What answers at the host and port of DATABASE_URL has hung up (${said}). See whether it is PostgreSQL, and its log.`,
  },
]

/** Null if the error says nothing of the database: then it is a fault of this program. */
export function startProblem(error: unknown): AppError | null {
  if (error instanceof AppError) return error
  if (!(error instanceof Error)) return null
  const code = errorCode(error)
  const rule = RULES.find(
    (one) =>
      (one.code === undefined || isWhole(one.code, code)) &&
      (one.message?.test(error.message) ?? true),
  )
  if (rule) return problem(rule.advice(error.message))
  if (!(error instanceof StoreFailure)) return null
  return problem(`PostgreSQL cannot be used (${error.message}, ${code}). See its log.`)
}

/** Rejects with the problem where there is one, as with what this program has found wrong by itself. */
export async function explain<T>(work: Promise<T>): Promise<T> {
  return work.catch((error) => {
    const found = startProblem(error) ?? error
    throw found instanceof AppError ? new DatabaseUnusable(found.message) : found
  })
}

/** `version` is `server_version_num`. Null if it will do. */
export function versionProblem(version: number): AppError | null {
  if (version >= VERSION_MIN) return null
  const major = Math.floor(version / 10_000)
  return problem(
    `PostgreSQL ${major} is too old. Use ${VERSION_MIN / 10_000} or newer, or let DATABASE_URL name another server.`,
  )
}

function isWhole(pattern: RegExp, text: string): boolean {
  return new RegExp(`^(?:${pattern.source})$`).test(text)
}

function problem(message: string): AppError {
  return new AppError('storage_unavailable', message)
}
