/** The linter of API documents, in a process of its own and without a word to anybody. */
import { join, resolve } from 'node:path'
import { temporaryDirectory } from './server.ts'

const REDOCLY = resolve(import.meta.dir, '../../node_modules/@redocly/cli/bin/cli.js')

/** Beyond the recommended rules: an example must be of its schema, and hold nothing that the schema does not name. */
const STRICT = `
extends: [recommended-strict]
rules:
  operation-tag-defined: error
  no-invalid-media-type-examples: { severity: error, allowAdditionalProperties: false }
  no-invalid-parameter-examples: error
  no-invalid-schema-examples: error
`

export type Finding = { readonly rule: string; readonly at: string; readonly message: string }

/** Errors and warnings alike. */
export async function lint(
  document: object,
  rules: 'recommended' | 'strict' = 'strict',
): Promise<Finding[]> {
  const directory = temporaryDirectory()
  await Bun.write(join(directory, 'openapi.json'), JSON.stringify(document))
  await Bun.write(
    join(directory, 'redocly.yaml'),
    rules === 'strict' ? STRICT : 'extends: [recommended]',
  )
  const child = Bun.spawn(
    [process.execPath, REDOCLY, 'lint', 'openapi.json', '--format=json', '--max-problems=1000'],
    {
      cwd: directory,
      env: { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
      stdout: 'pipe',
      stderr: 'pipe',
    },
  )
  const said = await child.stdout.text()
  const { totals, problems } = JSON.parse(said) as {
    totals: { errors: number; warnings: number }
    problems: { ruleId: string; message: string; location: { pointer?: string }[] }[]
  }
  if (totals.errors + totals.warnings !== problems.length) throw new Error(said)
  return problems.map(({ ruleId, message, location }) => ({
    rule: ruleId,
    at: location[0]?.pointer ?? '',
    message,
  }))
}
