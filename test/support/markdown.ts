/** Reads the project's own documents, for the tests that hold them to what they say. */
import { dirname, join, resolve } from 'node:path'
import { Glob } from 'bun'

export const ROOT = resolve(import.meta.dir, '../..')

export type Link = { readonly from: string; readonly target: string }

/** Paths of all documents, from the root of the repository. */
export const DOCUMENTS: readonly string[] = ['*.md', 'docs/**/*.md', '.github/**/*.md']
  .flatMap((pattern) => [...new Glob(pattern).scanSync({ cwd: ROOT, dot: true })])
  .sort()

export function readDocument(path: string): Promise<string> {
  return Bun.file(join(ROOT, path)).text()
}

/** Links to other files of the repository, or within the document, in running text. */
export function localLinks(from: string, text: string): Link[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => ({ from, target }))
    .filter(({ target }) => !/^[a-z]+:/.test(target))
}

/** The file that a link leads to, and the heading in it, if it names one. */
export function destination({ from, target }: Link): { path: string; anchor: string | undefined } {
  const [file = '', anchor] = target.split('#')
  return { path: file === '' ? from : join(dirname(from), decodeURI(file)), anchor }
}

/** The anchors that GitHub gives to headings. */
export function anchorsOf(text: string): string[] {
  return [...withoutCode(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** The session of a README: the commands to paste, and what they print. */
export function sessionOf(readme: string): { commands: string; output: string } {
  const [, after = ''] = readme.split('<!-- session')
  const block = (language: string) =>
    new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'ms').exec(after)?.[1] ?? ''
  return { commands: block('bash'), output: block('text') }
}

/** What is fenced or in backticks is quoted, not written: no links, no headings. */
function withoutCode(text: string): string {
  return text.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, '')
}
