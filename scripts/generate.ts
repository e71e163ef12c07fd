/**
 * Writes the files that are made from other files: the list of migrations that the binary embeds, and the docs that are
 * printed from the code's own tables. With `--check` it writes nothing and fails when one of them is out of date.
 */
import { readdir } from 'node:fs/promises'
import { renderConfigurationMarkdown } from '../src/config/markdown.ts'
import { renderCliMarkdown } from './render-cli.ts'
import { renderErrorsMarkdown } from './render-errors.ts'
import { renderMetricsMarkdown } from './render-metrics.ts'

const check = process.argv.includes('--check')

const outputs = {
  'src/db/sqlite/migrations.gen.ts': await listMigrations('sqlite'),
  'src/db/postgres/migrations.gen.ts': await listMigrations('postgres'),
  'docs/cli.md': renderCliMarkdown(),
  'docs/configuration.md': renderConfigurationMarkdown(),
  'docs/errors.md': renderErrorsMarkdown(),
  'docs/metrics.md': renderMetricsMarkdown(),
}

const stale: string[] = []
for (const [path, text] of Object.entries(outputs)) {
  const current = await Bun.file(path)
    .text()
    .catch(() => '')
  if (current === text) continue
  stale.push(path)
  if (!check) await Bun.write(path, text)
}
for (const path of stale)
  console.log(check ? `${path} is out of date: bun run generate` : `wrote ${path}`)
if (check && stale.length > 0) process.exit(1)

async function listMigrations(engine: 'sqlite' | 'postgres'): Promise<string> {
  const folder = `drizzle/${engine}`
  const names = (await readdir(folder)).filter((file) => file.endsWith('.sql')).sort()
  const imports = names.map(
    (file, i) => `import m${i} from '../../../${folder}/${file}' with { type: 'text' }`,
  )
  const entries = names.map((file, i) => `  { name: '${file.replace('.sql', '')}', sql: m${i} },`)
  return [
    '/** Written by `bun run generate` from drizzle/; do not edit. */',
    ...imports,
    "import type { Migration } from './migrate.ts'",
    '',
    `export const ${engine.toUpperCase()}_MIGRATIONS: readonly Migration[] = [`,
    ...entries,
    ']',
    '',
  ].join('\n')
}
