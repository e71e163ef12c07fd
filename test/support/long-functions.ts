/** Finds functions that are too long, by the linter's own rule: it parses what it counts. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const BIOME = join(import.meta.dir, '../../node_modules/@biomejs/biome/bin/biome')

/** The rule's own default: lines of a body, comments included, blank lines left out. */
export const FUNCTION_LINES_MAX = 50

const RULE = 'complexity/noExcessiveLinesPerFunction'
/** A comment that would silence the rule. */
export const SILENCED = `biome-ignore lint/${RULE}`

type Report = {
  readonly diagnostics: readonly {
    readonly message: string
    readonly location: { readonly path: string; readonly start: { readonly line: number } }
  }[]
}

export type LongFunction = { readonly path: string; readonly name: string; readonly lines: number }

/** Functions, methods and arrow functions in the files below `folder`, which the paths begin in. */
export function longFunctions(folder: string): LongFunction[] {
  const { stdout } = Bun.spawnSync(
    [
      process.execPath,
      BIOME,
      'lint',
      `--only=${RULE}`,
      '--max-diagnostics=none',
      '--reporter=json',
    ],
    { cwd: folder },
  )
  const { diagnostics } = JSON.parse(stdout.toString()) as Report
  return diagnostics.map(({ message, location: { path, start } }) => {
    const lines = readFileSync(join(folder, path), 'utf8').split('\n')
    const name = nameIn(lines[start.line - 1] ?? '')
    return { path, name, lines: Number(/\d+/.exec(message)?.[0]) }
  })
}

/** A function without a name is called by the line that it begins on. */
function nameIn(line: string): string {
  const [, name] =
    /(?:function\*?|const|let)\s+(\w+)/.exec(line) ??
    /^\s*(?:async\s+)?(\w+)\s*[(<:]/.exec(line) ??
    []
  return name ?? line.trim()
}
