/**
 * Takes up changed settings while the server runs: on SIGHUP, and when one of their files has changed. What is wrong is
 * logged and changes nothing.
 */
import { readFileSync } from 'node:fs'
import type { LiveConfig } from './config/live.ts'
import type { Config } from './config/options.ts'
import { readTls, type Tls } from './config/tls.ts'
import { type AdminToken, openAdminToken } from './data-dir/admin-token.ts'
import { adminTokenPath } from './data-dir/directory.ts'
import { errorCode } from './lib/error-code.ts'
import type { ServerLog } from './lib/log.ts'

/** Reading four small files is nothing; waiting for a changed token for longer than this would be felt. */
const POLL_MS = 2_000

/** What can be changed and is not in the settings themselves, but in files that they name. */
export type Credentials = { readonly adminToken: AdminToken; readonly tls: Tls | null }

export type ReloadOptions = {
  readonly settings: LiveConfig
  readonly credentials: Credentials
  readonly log: ServerLog
  /** Told of what is now in force. */
  readonly onChange: (credentials: Credentials) => void
}

/** Throws if a file cannot be used. */
export function readCredentials(config: Config): Credentials {
  return { adminToken: openAdminToken(config), tls: readTls(config) }
}

/** Returns a function that stops it. */
export function startReloading({
  settings,
  credentials,
  log,
  onChange,
}: ReloadOptions): () => void {
  let inForce = credentials
  let seen = contents(settings.current())

  function reload(cause: string): void {
    seen = contents(settings.current())
    const reloaded = settings.reload(readCredentials)
    if (!reloaded.ok) {
      const { problems } = reloaded
      log.error({ cause, problems }, 'the settings are not valid; nothing was changed')
      return
    }
    const { prepared, changed } = reloaded
    // A listener cannot begin to speak another protocol.
    const switched = (prepared.tls === null) !== (inForce.tls === null)
    const found = switched ? { ...prepared, tls: inForce.tls } : prepared
    const waiting = [...reloaded.waiting, ...(switched ? ['TLS_CERT_FILE'] : [])]
    const isOther =
      found.adminToken.token !== inForce.adminToken.token || !Bun.deepEquals(found.tls, inForce.tls)
    inForce = found
    if (isOther || changed.length > 0) onChange(found)
    log.info({ cause, changed, credentials: isOther }, 'the settings were read again')
    if (waiting.length > 0)
      log.warn({ settings: waiting }, 'these settings have changed and need a restart')
  }

  const onSignal = () => reload('SIGHUP')
  process.on('SIGHUP', onSignal)
  const timer = setInterval(() => {
    if (contents(settings.current()) !== seen) reload('a file has changed')
  }, POLL_MS)
  timer.unref()
  return () => {
    process.off('SIGHUP', onSignal)
    clearInterval(timer)
  }
}

/** Everything that the files say at this moment, to see whether it has changed. */
function contents(config: Config): string {
  const { configFile, adminTokenFile, dataDir, tlsCertFile, tlsKeyFile } = config
  const token = adminTokenFile ?? adminTokenPath(dataDir)
  return [configFile, token, tlsCertFile, tlsKeyFile].map(read).join('\0')
}

function read(path: string | undefined): string {
  if (path === undefined) return ''
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    return `(${errorCode(error)})`
  }
}
