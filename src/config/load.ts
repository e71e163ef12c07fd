/**
 * The only reader of the environment: turns it into a frozen `Config`, or into every problem at
 * once. No problem or warning ever holds a value, so that a secret set under the wrong name stays
 * unseen.
 */
import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { checkAdminToken, checkSecretKeys } from '../domain/operator-secrets.ts'
import { errorCode } from '../lib/error-code.ts'
import { invalid, type Parsed, QUOTED, QUOTED_PROBLEM } from '../lib/text/parsed.ts'
import { checkFileNames, checkNames, type Environment, hasForeignSession } from './environment.ts'
import { type Config, type Field, OPTIONS, ROWS } from './options.ts'
import type { Kind } from './parse.ts'
import { readTracing } from './tracing.ts'

/** Where a value came from: its variable, CONFIG_FILE, the file of its `…_FILE`, or the table. */
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

/** What has been read so far. A value that could not be read is undefined, and a problem. */
type Draft = {
  readonly values: Partial<Record<Field, unknown>>
  readonly sources: Partial<Record<Field, Source>>
  readonly problems: string[]
}

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

/** Secrets that may stand in a file instead of the environment, and how their text is checked. */
const SECRETS = [
  ['adminToken', 'adminTokenFile', checkAdminToken],
  ['secretKey', 'secretKeyFile', checkSecretKeys],
] as const

export function loadConfig(env: Environment): Loaded {
  const { settings, problems } = readConfigFile(env)
  const draft: Draft = { values: {}, sources: {}, problems }
  readRows(draft, env, settings)
  readSecretFiles(draft)
  checkTogether(draft, env)
  const names = checkNames(env)
  problems.push(...names.problems, ...readTracing(env).problems)

  const { warnings } = names
  if (problems.length > 0) return { ok: false, problems, warnings }
  // Every field has just been parsed by its own row, which is what the two types say.
  const config = Object.freeze(draft.values) as Config
  return { ok: true, config, sources: draft.sources as Sources, warnings }
}

function readRows({ values, sources, problems }: Draft, env: Environment, settings: Environment) {
  // The defaults of DATABASE_URL and BACKUP_DIR name DATA_DIR, so that it precedes them in the table.
  for (const [field, option] of ROWS) {
    const set = env[option.env]?.trim()
    const given = set || settings[option.env]?.trim()
    const text = given || option.default?.replace('<DATA_DIR>', () => String(values.dataDir))
    const parsed = text === undefined ? undefined : parse(text, option.kind)
    if (parsed?.ok === false) problems.push(`${option.env} ${parsed.problem}`)
    values[field] = parsed?.ok ? freeze(parsed.value) : undefined
    sources[field] = set ? 'environment' : given ? 'configuration file' : 'default'
  }
}

/** No setting has a value that begins and ends with the same quote. */
function parse(text: string, { parse: read }: Pick<Kind<unknown>, 'parse'>): Parsed<unknown> {
  return text.length > 1 && QUOTED.test(text) ? invalid(`${QUOTED_PROBLEM}.`) : read(text)
}

function readSecretFiles({ values, sources, problems }: Draft) {
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
}

/** Finds settings that are good each by itself, and wrong beside the others. */
function checkTogether({ values, sources, problems }: Draft, env: Environment) {
  for (const [field, other] of NEEDS) {
    const isGiven = sources[field] !== 'default' && values[field] !== undefined
    if (isGiven && sources[other] === 'default')
      problems.push(`${OPTIONS[field].env} is set, but ${OPTIONS[other].env} is not.`)
  }
  if (values.backupS3Url !== undefined && hasForeignSession(env)) {
    problems.push(
      'AWS_SESSION_TOKEN or S3_SESSION_TOKEN is set and would be sent to the storage of BACKUP_S3_URL; set S3_SESSION_TOKEN to nothing.',
    )
  }
  if (values.egress === 'listed' && isEmptyList(values.egressAllow)) {
    problems.push('PROXY_EGRESS is listed, but PROXY_EGRESS_ALLOW names no target.')
  }
}

function readConfigFile(env: Environment): { settings: Environment; problems: string[] } {
  const path = env['CONFIG_FILE']?.trim()
  if (!path) return { settings: {}, problems: [] }
  try {
    const settings = parseEnv(readFileSync(path, 'utf8'))
    return { settings, problems: checkFileNames(Object.keys(settings)) }
  } catch (error) {
    const { problem } = unreadable(error)
    return { settings: {}, problems: [`CONFIG_FILE ${problem}`] }
  }
}

function readSecretFile(path: string, check: (text: string) => Parsed<unknown>): Parsed<unknown> {
  try {
    const read = parse(readFileSync(path, 'utf8').trim(), { parse: check })
    return read.ok ? read : invalid(`names a file whose content ${read.problem}`)
  } catch (error) {
    return unreadable(error)
  }
}

function unreadable(error: unknown) {
  const reason = errorCode(error) || 'unknown reason'
  return { ok: false, problem: `names a file that cannot be read (${reason}).` } as const
}

function freeze(value: unknown): unknown {
  return Array.isArray(value) ? Object.freeze([...value]) : value
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0
}
