/** How a connection to PostgreSQL is encrypted, and whom it trusts: what `sslmode` means in libpq (its documentation, 32.19). */
import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import type { PostgresTls } from '../../../domain/postgres-url.ts'
import { AppError } from '../../../errors.ts'
import { errorCode } from '../../../lib/error-code.ts'

/** Throws an AppError that names the file if one cannot be read. The driver adds whose certificate it must be. */
export function tlsOptions(tls: PostgresTls): false | ConnectionOptions {
  if (tls.mode === 'disable') return false
  const { rootCertificate, certificate, key } = tls
  const options: ConnectionOptions = {
    ...(isOurOwn(rootCertificate) && { ca: read('sslrootcert', rootCertificate) }),
    ...(certificate !== undefined && { cert: read('sslcert', certificate) }),
    ...(key !== undefined && { key: read('sslkey', key) }),
  }
  // Whoever names an authority wants it asked: libpq then takes `require` for `verify-ca`, too.
  if (tls.mode === 'require' && rootCertificate === undefined)
    return { ...options, rejectUnauthorized: false }
  return tls.mode === 'verify-full' ? options : { ...options, checkServerIdentity: () => undefined }
}

/** `system` is the word for what the system trusts, which is what is trusted without any. */
function isOurOwn(rootCertificate: string | undefined): rootCertificate is string {
  return rootCertificate !== undefined && rootCertificate !== 'system'
}

function read(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new AppError(
      'storage_unavailable',
      `DATABASE_URL names ${path} for ${name}, which cannot be read (${errorCode(error)}).`,
    )
  }
}
