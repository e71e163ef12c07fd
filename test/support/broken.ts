/** A copy of the sources that is broken in one place. */
import { expect } from 'bun:test'
import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { temporaryDirectory } from './server.ts'

const ROOT = resolve(import.meta.dir, '../..')

/** Change by change: a text that stands in the file once, and what to put in its place. */
export type Changes = readonly (readonly [from: string, to: string])[]

/** Resolves with where the copy is. `file` is in `src` or in `drizzle`. */
export function brokenCopy(file: string, changes: Changes): string {
  const copy = temporaryDirectory()
  for (const name of ['src', 'drizzle'])
    cpSync(join(ROOT, name), join(copy, name), { recursive: true })
  for (const name of ['node_modules', 'package.json', 'tsconfig.json'])
    symlinkSync(join(ROOT, name), join(copy, name))
  const path = join(copy, file)
  let text = readFileSync(path, 'utf8')
  for (const [from, to] of changes) {
    expect(text.split(from), `${file} holds this once: ${from}`).toHaveLength(2)
    text = text.replace(from, () => to)
  }
  writeFileSync(path, text)
  return copy
}
