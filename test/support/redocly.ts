/** The linter of API documents, in a process of its own and without a word to anybody. */
import { join, resolve } from 'node:path'
import { runCommand } from './command.ts'
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
  const { out } = await runCommand(
    [process.execPath, REDOCLY, 'lint', 'openapi.json', '--format=json', '--max-problems=1000'],
    { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
    directory,
  )
  const { totals, problems } = JSON.parse(out) as {
    totals: { errors: number; warnings: number }
    problems: { ruleId: string; message: string; location: { pointer?: string }[] }[]
  }
  if (totals.errors + totals.warnings !== problems.length) throw new Error(out)
  return problems.map(({ ruleId, message, location }) => ({
    rule: ruleId,
    at: location[0]?.pointer ?? '',
    message,
  }))
}
