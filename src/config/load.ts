/**
 * The only reader of the environment: turns it into a frozen `Config`, or into every problem at once.
 * No problem or warning ever holds a value, so that a secret set under the wrong name stays unseen.
 */
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { checkAdminToken } from '../data-dir/admin-token.ts'
import { checkSecretKeys } from '../data-dir/secret-key.ts'
import { errorCode } from '../lib/error-code.ts'
import { editDistance } from '../lib/text/edit-distance.ts'
import { type Config, type Field, OPTIONS, ROWS } from './options.ts'
import type { Parsed } from './parse.ts'
import { readTracing } from './tracing.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Where a value came from: its variable, the file of settings, the file that its `…_FILE` names, or the table. */
export type Source = 'environment' | 'configuration file' | 'file' | 'default'
export type Sources = Readonly<Record<Field, Source>>

export type Loaded =
  | {
      readonly ok: true
      readonly config: Config
      readonly sources: Sources
      readonly warnings: readonly string[]
    }
  | {
      readonly ok: false
      readonly problems: readonly string[]
      readonly warnings: readonly string[]
    }

const NAMES: readonly string[] = ROWS.map(([, option]) => option.env)
const IN_FILE = NAMES.filter((name) => name !== 'CONFIG_FILE')

/** Settings that mean nothing without another one. */
const NEEDS: readonly (readonly [Field, Field])[] = [
  ['upstreamApiKey', 'upstreamBaseUrl'],
  ['upstreamMount', 'upstreamBaseUrl'],
  ['tlsCertFile', 'tlsKeyFile'],
  ['tlsKeyFile', 'tlsCertFile'],
  ['backupS3Url', 'backupS3AccessKeyId'],
  ['backupS3Url', 'backupS3SecretAccessKey'],
  ['backupS3AccessKeyId', 'backupS3Url'],
  ['backupS3SecretAccessKey', 'backupS3Url'],
  ['backupS3Endpoint', 'backupS3Url'],
  ['backupS3Region', 'backupS3Url'],
]

/** What may stand in a file instead of the environment, and how its text is checked. */
const SECRETS = [
  ['adminToken', 'adminTokenFile', checkAdminToken],
  ['secretKey', 'secretKeyFile', checkSecretKeys],
] as const

/** Two slips of the finger. Names shorter than eight characters are that close to innocent ones. */
const MISSPELLING_DISTANCE_MAX = 2
const MISSPELLING_LENGTH_MIN = 8

export function loadConfig(env: Environment): Loaded {
  const values: Partial<Record<Field, unknown>> = {}
  const sources: Partial<Record<Field, Source>> = {}
  const { settings, problems } = readConfigFile(env)

  // DATA_DIR stands before DATABASE_URL in the table because the default of the one names the other.
  for (const [field, option] of ROWS) {
    const set = env[option.env]?.trim()
    const given = set || settings[option.env]?.trim()
    const text = given || option.default?.replace('<DATA_DIR>', () => String(values.dataDir))
    const parsed = text === undefined ? undefined : option.kind.parse(text)
    if (parsed?.ok === false) problems.push(`${option.env} ${parsed.problem}`)
    values[field] = parsed?.ok ? freeze(parsed.value) : undefined
    sources[field] = set ? 'environment' : given ? 'configuration file' : 'default'
  }

  for (const [field, fileField, check] of SECRETS) {
    const path = values[fileField]
    if (typeof path !== 'string') continue
    const name = OPTIONS[field].env
    if (sources[field] !== 'default') {
      problems.push(`${name} and ${name}_FILE are both set; keep one of them.`)
    }
    const read = readSecretFile(path, check)
    if (!read.ok) problems.push(`${name}_FILE ${read.problem}`)
    values[field] = read.ok ? freeze(read.value) : undefined
    sources[field] = 'file'
  }
  for (const [field, other] of NEEDS) {
    const isGiven = sources[field] !== 'default' && values[field] !== undefined
    if (isGiven && sources[other] === 'default')
      problems.push(`${OPTIONS[field].env} is set, but ${OPTIONS[other].env} is not.`)
  }
  if (values.backupS3Url !== undefined && foreignSession(env)) {
    problems.push(
      'AWS_SESSION_TOKEN or S3_SESSION_TOKEN is set and would be sent to the storage of BACKUP_S3_URL; set S3_SESSION_TOKEN to nothing.',
    )
  }
  if (values.egress === 'listed' && isEmptyList(values.egressAllow)) {
    problems.push('PROXY_EGRESS is listed, but PROXY_EGRESS_ALLOW names no target.')
  }

  const names = Object.keys(env).filter((name) => env[name]?.trim() && !NAMES.includes(name))
  problems.push(...names.flatMap(misspelling), ...readTracing(env).problems)
  const warnings = names.flatMap(foreignName)

  if (problems.length > 0) return { ok: false, problems, warnings }
  // Every field has just been parsed by its own row, which is what the two types say.
  const config = Object.freeze(values) as Config
  return { ok: true, config, sources: sources as Sources, warnings }
}

/** Everything in it is meant for this program: a name that it does not know is a problem. */
function readConfigFile(env: Environment): { settings: Environment; problems: string[] } {
  const path = env['CONFIG_FILE']?.trim()
  if (!path) return { settings: {}, problems: [] }
  try {
    const settings = parseEnv(readFileSync(path, 'utf8'))
    const unknown = Object.keys(settings).filter((name) => !IN_FILE.includes(name))
    const problems = unknown.flatMap((name) => {
      const meant = name === 'CONFIG_FILE' ? [] : misspelling(name)
      return meant.length > 0 ? meant : [`CONFIG_FILE sets ${name}, which is not a setting.`]
    })
    return { settings, problems }
  } catch (error) {
    const reason = errorCode(error) || 'unknown reason'
    return { settings: {}, problems: [`CONFIG_FILE names a file that cannot be read (${reason}).`] }
  }
}

function readSecretFile(path: string, check: (text: string) => Parsed<unknown>): Parsed<unknown> {
  try {
    const read = check(readFileSync(path, 'utf8'))
    return read.ok ? read : { ok: false, problem: `names a file whose content ${read.problem}` }
  } catch (error) {
    const reason = errorCode(error) || 'unknown reason'
    return { ok: false, problem: `names a file that cannot be read (${reason}).` }
  }
}

function misspelling(name: string): string[] {
  const meant = NAMES.find(
    (known) =>
      known.length >= MISSPELLING_LENGTH_MIN &&
      Math.abs(known.length - name.length) <= MISSPELLING_DISTANCE_MAX &&
      editDistance(known, name.toUpperCase()) <= MISSPELLING_DISTANCE_MAX,
  )
  return meant === undefined ? [] : [`${name} is not a setting; did you mean ${meant}?`]
}

/** Never a problem: Kubernetes sets QUOTA_PROXY_PORT and others for a service called quota-proxy. */
function foreignName(name: string): string[] {
  const bare = /^QUOTA_(?:PROXY_)?/.exec(name)
  if (bare === null) return []
  const candidates = [name.slice(bare[0].length), name.slice('QUOTA_'.length)]
  const meant = candidates.find((candidate) => NAMES.includes(candidate))
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`
  return [`${name} is not a setting and is ignored.${hint}`]
}

/** Bun's S3 client takes it from there whatever it is told, unless the first of the two is there and empty (Bun 1.4.5). */
function foreignSession(env: Environment): boolean {
  return Boolean(env['S3_SESSION_TOKEN'] ?? env['AWS_SESSION_TOKEN'])
}

function freeze(value: unknown): unknown {
  return Array.isArray(value) ? Object.freeze([...value]) : value
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0
}
