/** Reads the server's certificate and key from their files, and checks them before any use. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { errorCode } from '../lib/error-code.ts'
import type { Config } from './options.ts'

export type Tls = {
  /** PEM, the server's own certificate first. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** When the first certificate of the chain expires, ms. */
  readonly expiresAt: number
}

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Null if the settings name none. Throws an Error whose message tells the operator what to do. */
export function readTls({ tlsCertFile, tlsKeyFile }: Config): Tls | null {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) return null
  const cert = read('TLS_CERT_FILE', tlsCertFile)
  const key = read('TLS_KEY_FILE', tlsKeyFile)
  const chain = attempt('TLS_CERT_FILE holds no certificate that can be read, as PEM.', () =>
    (cert.match(CERTIFICATES) ?? []).map((pem) => new X509Certificate(pem)),
  )
  const privateKey = attempt(
    'TLS_KEY_FILE holds no private key that can be read, as PEM without a passphrase.',
    () => createPrivateKey(key),
  )
  const [own] = chain
  if (!own) throw new Error('TLS_CERT_FILE holds no certificate that can be read, as PEM.')
  if (!own.checkPrivateKey(privateKey))
    throw new Error(
      'TLS_KEY_FILE does not belong to the first certificate in TLS_CERT_FILE. The server’s own certificate comes first, then the chain.',
    )
  const expiresAt = Math.min(...chain.map(({ validTo }) => Date.parse(validTo)))
  return { cert, key, expiresAt }
}

function read(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`${name} names a file that cannot be read (${errorCode(error) || error}).`, {
      cause: error,
    })
  }
}

function attempt<T>(problem: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new Error(problem, { cause })
  }
}
