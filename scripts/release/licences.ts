/**
 * Holds the licence of everything in the binary to a list of those that ask for nothing but their text, and fails at
 * any other. With `--notices=FILE` it writes these texts, as every release carries them.
 */
import { parseArgs } from 'node:util'
import manifest from '../../package.json' with { type: 'json' }
import { type Dependency, label, licenceTexts, productionDependencies } from './dependencies.ts'

/** None of them asks for more than to pass on its text and who wrote it. */
const ALLOWED = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'CC0-1.0', 'ISC', 'MIT']

/** Whether the expression can be met by allowed licences alone. What cannot be read is not allowed. */
export function isAllowed(expression: string): boolean {
  const terms = expression.replace(/^\((.*)\)$/, '$1')
  if (/[()]/.test(terms)) return false
  return terms
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((name) => ALLOWED.includes(name.trim())))
}

export async function renderNotices(dependencies: readonly Dependency[]): Promise<string> {
  const sections = await Promise.all(
    dependencies.map(async (dependency) => {
      const texts = await licenceTexts(dependency)
      const body = texts.length > 0 ? texts.join('\n\n') : 'The package brings no text of it.'
      return `${label(dependency)}\nLicence: ${dependency.licence}\n\n${body}\n`
    }),
  )
  const head = `quota-proxy is under the MIT licence. It contains the packages below, each under its own.

It also contains Bun ${manifest.engines.bun}, which is under the MIT licence and holds, among others, JavaScriptCore
and WebKit (LGPL-2.1 and BSD-2-Clause), SQLite (public domain), BoringSSL (ISC and OpenSSL), and zlib. The sources and
licences of all of them, and how to link Bun with another build of JavaScriptCore, are at
https://bun.com/docs/project/license
`
  return [head, ...sections].join(`\n${'-'.repeat(80)}\n\n`)
}

if (import.meta.main) {
  const { values: flags } = parseArgs({ options: { notices: { type: 'string' } } })
  const dependencies = await productionDependencies()
  if (flags.notices) await Bun.write(flags.notices, await renderNotices(dependencies))
  else for (const one of dependencies) console.log(`${one.licence.padEnd(20)} ${label(one)}`)
  const refused = dependencies.filter(({ licence }) => !isAllowed(licence))
  for (const one of refused)
    console.error(`${label(one)}: the licence ${one.licence} is not allowed`)
  if (refused.length > 0) process.exit(1)
}
