/** Why a server cannot be reached, in words that say what to do. */
import { errorCode } from '../lib/error-code.ts'

/** How TLS says that nobody whom this system trusts has signed the certificate. */
const UNTRUSTED = /SELF_SIGNED_CERT|UNABLE_TO_(?:VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT)/

/** `error` is what fetch has thrown. */
export function reasonOf(error: unknown): string {
  const code = errorCode(error)
  if (/^(?:ConnectionRefused|ECONNREFUSED)$/.test(code))
    return 'nobody listens there. Is the server running?'
  if (UNTRUSTED.test(code))
    return `nobody whom this system trusts has signed its certificate (${code}). If it is your own, add --cacert with the file of the certificate.`
  return error instanceof Error ? error.message : String(error)
}
