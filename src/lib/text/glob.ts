/**
 * Matches globs as Bun reads them: `*`, `**`, `?`, `[abc]`, `{a,b}`. A glob that begins with `!`
 * matches nothing here: in a list of what is allowed, it would allow nearly everything. Pure.
 */
import { Glob } from 'bun'
import { remember } from '../remember.ts'

/** Globs are few, since operators write them. Any further ones are compiled anew each time. */
const GLOBS_MAX = 1000

/** Replaces slashes where a slash is a letter like any other. No name holds it. */
const SLASH = '\u0001'

const compile = remember((glob) => new Glob(glob), GLOBS_MAX)

/** For paths: `*` stays between two slashes; `**`, alone between two slashes, crosses them. */
export function matchesPath(glob: string, path: string): boolean {
  return !glob.startsWith('!') && compile(glob).match(path)
}

/** For names, in which `*` crosses slashes too. */
export function matchesName(glob: string, name: string): boolean {
  // A name that holds the replacement would pass for the same name with a slash.
  return !name.includes(SLASH) && matchesPath(unslashed(glob), unslashed(name))
}

function unslashed(text: string): string {
  return text.replaceAll('/', SLASH)
}
