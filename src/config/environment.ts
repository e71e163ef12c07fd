/**
 * What stands in the environment besides the settings: names that look like one, and variables of
 * other programs that would change what this one does. No message ever holds a value.
 */
import { editDistance } from '../lib/text/edit-distance.ts'
import { ROWS } from './options.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const NAMES: readonly string[] = ROWS.map(([, option]) => option.env)

/** What the file that CONFIG_FILE names may set. */
const NAMES_IN_FILE = NAMES.filter((name) => name !== 'CONFIG_FILE')

/** Two slips of the finger. Names under eight characters are that close to innocent ones. */
const MISSPELLING_DISTANCE_MAX = 2
const MISSPELLING_LENGTH_MIN = 8

/** Set variables that are not settings: problems for misspelled names, warnings for odd ones. */
export function checkNames(env: Environment): {
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
} {
  const names = Object.keys(env).filter((name) => env[name]?.trim() && !NAMES.includes(name))
  return { problems: names.flatMap(misspelling), warnings: names.flatMap(foreignName) }
}

/** Everything in that file is meant for this program, so an unknown name is a problem. */
export function checkFileNames(names: readonly string[]): string[] {
  const unknown = names.filter((name) => !NAMES_IN_FILE.includes(name))
  return unknown.flatMap((name) => {
    const meant = name === 'CONFIG_FILE' ? [] : misspelling(name)
    return meant.length > 0 ? meant : [`CONFIG_FILE sets ${name}, which is not a setting.`]
  })
}

/**
 * Whether Bun's S3 client would send a session token of another program. It reads these variables
 * whatever it is told, unless the first of the two is set and empty (Bun 1.4.5).
 */
export function hasForeignSession(env: Environment): boolean {
  return Boolean(env['S3_SESSION_TOKEN'] ?? env['AWS_SESSION_TOKEN'])
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

/** Only warned about: Kubernetes sets QUOTA_PROXY_PORT and more for a service quota-proxy. */
function foreignName(name: string): string[] {
  const bare = /^QUOTA_(?:PROXY_)?/.exec(name)
  if (bare === null) return []
  const candidates = [name.slice(bare[0].length), name.slice('QUOTA_'.length)]
  const meant = candidates.find((candidate) => NAMES.includes(candidate))
  const hint = meant === undefined ? '' : ` Did you mean ${meant}?`
  return [`${name} is not a setting and is ignored.${hint}`]
}
