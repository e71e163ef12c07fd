/**
 * Globs as Bun reads them: `*`, `**`, `?`, `[abc]`, `{a,b}`. One that begins with `!` matches nothing, here: in a list of
 * what is allowed, a glob that negates would allow nearly everything. Pure.
 */
import { Glob } from 'bun'
import { remember } from '../remember.ts'

/** Globs are few, since operators write them; any further ones are only compiled again. */
const GLOBS_MAX = 1000

/** Stands for a slash where a slash is a letter like any other. No name of anything holds it. */
const SLASH = '\u0001'

const compile = remember((glob) => new Glob(glob), GLOBS_MAX)

/** For paths: `*` stays between two slashes, and `**`, alone between two slashes, crosses them. */
export function matchesPath(glob: string, path: string): boolean {
  return !glob.startsWith('!') && compile(glob).match(path)
}

/** For names, in which `*` crosses slashes too. */
export function matchesName(glob: string, name: string): boolean {
  // A name that holds the stand-in would pass for the one with a slash in that place.
  return !name.includes(SLASH) && matchesPath(unslashed(glob), unslashed(name))
}

function unslashed(text: string): string {
  return text.replaceAll('/', SLASH)
}
