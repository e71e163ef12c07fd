/**
 * A PostgreSQL as operators have it: with a certificate of an authority that nobody else knows, and with passwords. One for a
 * whole run.
 */
import { chmodSync, chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAuthority } from './certificate.ts'
import { OTHER_USER, type PostgresServer, sql, startPostgres } from './postgres.ts'
import { temporaryDirectory } from './server.ts'

/** It must be escaped in a URL, and is so odd that it is found in any text. */
export const PASSWORD = 'p/w d%:@é'

/** Where it listens, too, and which is not in its certificate. */
export const WRONG_HOST = '127.0.0.2'

export type SecurePostgres = {
  readonly server: PostgresServer
  /** The certificate of its authority, and of another one. */
  readonly caFile: string
  readonly strangeCaFile: string
  /** Of the user `proxy`, by the name in the certificate, unless something else is given. */
  url(differently?: Partial<UrlParts>): string
}

type UrlParts = {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  /** What follows the question mark. */
  readonly query: string
}

/** `tls_only` gets in with TLS only, `reader` may only read, `nobody` gets in never. */
const RULES = `
host    all postgres all trust
hostssl all tls_only all scram-sha-256
host    all proxy    all scram-sha-256
host    all reader   all scram-sha-256
`

const shared = globalThis as { quotaProxySecurePostgres?: Promise<SecurePostgres> }

export function securePostgres(): Promise<SecurePostgres> {
  shared.quotaProxySecurePostgres ??= start()
  return shared.quotaProxySecurePostgres
}

async function start(): Promise<SecurePostgres> {
  const [authority, stranger] = await Promise.all([createAuthority(), createAuthority()])
  const directory = temporaryDirectory()
  chmodSync(directory, 0o755)
  const { cert, key } = await authority.issue('DNS:localhost,IP:127.0.0.1')
  const file = (name: string, text: string) => {
    const path = join(directory, name)
    writeFileSync(path, text, { mode: 0o600 })
    if (process.getuid?.() === 0) chownSync(path, OTHER_USER, OTHER_USER)
    return path
  }
  const server = await startPostgres({
    listen_addresses: `localhost,${WRONG_HOST}`,
    hba_file: file('pg_hba.conf', RULES),
    ssl: 'on',
    ssl_cert_file: file('server.pem', cert),
    ssl_key_file: file('server.key', key),
  })
  for (const user of ['proxy', 'tls_only', 'reader', 'nobody'])
    await sql(server.url(), `CREATE ROLE ${user} LOGIN PASSWORD '${PASSWORD}'`)
  await sql(server.url(), 'ALTER ROLE reader SET default_transaction_read_only = on')
  await sql(server.url(), 'CREATE DATABASE proxy OWNER proxy')
  const usual = {
    host: 'localhost',
    port: server.port,
    user: 'proxy',
    password: PASSWORD,
    database: 'proxy',
  }
  return {
    server,
    caFile: authority.env.NODE_EXTRA_CA_CERTS,
    strangeCaFile: stranger.env.NODE_EXTRA_CA_CERTS,
    url: (differently) => urlOf({ ...usual, query: 'sslmode=disable', ...differently }),
  }
}

export function urlOf({ host, port, user, password, database, query }: UrlParts): string {
  const secret = encodeURIComponent(password)
  return `postgres://${user}${secret && `:${secret}`}@${host}:${port}/${database}?${query}`
}
