/**
 * What a `postgres://` URL says, as libpq reads it (PostgreSQL documentation, 32.1.1 "Connection Strings" and 32.19 "SSL
 * Support"), as far as it is supported here. Pure.
 */

/** One server of the URL. */
export type PostgresAddress = {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string | undefined
  readonly tls: PostgresTls
}

/** Paths of files in PEM; undefined is what the system trusts, and no certificate of our own. */
export type PostgresTls = {
  readonly mode: SslMode
  readonly rootCertificate: string | undefined
  readonly certificate: string | undefined
  readonly key: string | undefined
}

const PARAMETERS = ['sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'channel_binding']
const SSL_MODES = ['disable', 'require', 'verify-ca', 'verify-full'] as const
export type SslMode = (typeof SSL_MODES)[number]

const PORT = 5432

export type ParsedUrl =
  | { readonly ok: true; readonly addresses: readonly PostgresAddress[] }
  | { readonly ok: false; readonly problem: string }

/** Several hosts, with commas between, are tried in their order until one can be written to. */
export function parsePostgresUrl(text: string): ParsedUrl {
  const parts =
    /^postgres(?:ql)?:\/\/(?:([^:@/?#]*)(?::([^@/?#]*))?@)?([^/?#]*)\/([^/?#]*)(?:\?([^#]*))?$/i.exec(
      text,
    )
  if (!parts) return problem('must be like postgres://user:password@host:5432/database.')
  const [, user = '', password, hosts = '', database = '', query = ''] = parts
  if (user === '' || database === '')
    return problem('must name a user and a database: postgres://user:password@host:5432/database.')
  const parameters = new URLSearchParams(query)
  const unknown = [...parameters.keys()].find((name) => !PARAMETERS.includes(name))
  if (unknown !== undefined)
    return problem(`has the parameter "${unknown}"; supported are ${PARAMETERS.join(', ')}.`)
  const mode = parameters.get('sslmode')
  if (mode !== null && !isSslMode(mode))
    return problem(`has sslmode=${mode}; supported are ${SSL_MODES.join(', ')}.`)
  // It shows that the server is the one that knows the password; a verified certificate shows that, too.
  const isBound = parameters.get('channel_binding') === 'require'
  const addresses: PostgresAddress[] = []
  for (const each of hosts.split(',')) {
    const found = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::([0-9]{1,5}))?$/i.exec(decode(each) ?? '')
    const port = Number(found?.[2] ?? PORT)
    if (!found?.[1] || port < 1 || port > 65535)
      return problem(`has no host "${each}" that could be reached; write host or host:port.`)
    const host = found[1].replace(/^\[|\]$/g, '')
    const [name, secret, base] = [decode(user), decode(password ?? ''), decode(database)]
    if (name === null || secret === null || base === null)
      return problem('has a "%" that is not the beginning of an escape; write % as %25.')
    addresses.push({
      host,
      port,
      database: base,
      user: name,
      password: password === undefined ? undefined : secret,
      tls: tlsOf(isBound ? 'verify-full' : (mode ?? defaultMode(host)), parameters),
    })
  }
  return { ok: true, addresses }
}

function problem(text: string): ParsedUrl {
  return { ok: false, problem: text }
}

function isSslMode(text: string): text is SslMode {
  return (SSL_MODES as readonly string[]).includes(text)
}

/** Passwords and units of money do not travel in the clear unless somebody says so; within one machine they do not travel. */
function defaultMode(host: string): SslMode {
  return /^(?:localhost|127(?:\.\d+){3}|::1)$/.test(host) ? 'disable' : 'verify-full'
}

function tlsOf(mode: SslMode, parameters: URLSearchParams): PostgresTls {
  const path = (name: string) => parameters.get(name) ?? undefined
  return {
    mode,
    rootCertificate: path('sslrootcert'),
    certificate: path('sslcert'),
    key: path('sslkey'),
  }
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
