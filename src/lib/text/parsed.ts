/**
 * What reading a text gives: its value, or what is wrong with it. The problem continues a sentence
 * that begins with a name ("must be …"). It never holds the text itself, which may be a secret.
 */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: string }

/** Files for `docker run --env-file` and their like keep the quotes that a shell would take off. */
export const QUOTED = /^(["'`]).*\1$/s
export const QUOTED_PROBLEM = 'must not stand in quotes'

export function valid<T>(value: T): Parsed<T> {
  return { ok: true, value }
}

export function invalid(problem: string): Parsed<never> {
  return { ok: false, problem }
}
