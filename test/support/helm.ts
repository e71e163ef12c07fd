/** Renders the Helm chart of deploy/ with a real Helm, and knows what Kubernetes takes. */
import { join } from 'node:path'
import Ajv, { type ValidateFunction } from 'ajv'
import { type Ended, runCommand } from './command.ts'
import { ROOT } from './markdown.ts'
import { temporaryDirectory } from './server.ts'

export const CHART = join(ROOT, 'deploy/helm/quota-proxy')

const PATH = `${process.env['PATH']}:${process.env['HOME']}/go/bin`
const helm = Bun.which('helm', { PATH })

/** What is missing here to render the chart; null if nothing is. To build it takes minutes, so CI does not. */
export const obstacle = helm !== null ? null : 'go install helm.sh/helm/v4/cmd/helm@v4.3.1'

export type Values = Readonly<Record<string, unknown>>

export type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> }
  readonly spec?: Readonly<Record<string, unknown>>
  readonly stringData?: Readonly<Record<string, string>>
}

/** Runs Helm on the chart with `values`; nothing of the user's own Helm counts. */
export async function runHelm(command: readonly string[], values: Values): Promise<Ended> {
  const directory = temporaryDirectory()
  const file = join(directory, 'values.yaml')
  // JSON is YAML.
  await Bun.write(file, JSON.stringify(values))
  const [verb = '', ...rest] = command
  return runCommand([helm ?? 'helm', verb, ...rest, CHART, '--values', file], {
    PATH,
    HOME: directory,
  })
}

/** Throws what Helm has against the values. */
export async function render(values: Values): Promise<Manifest[]> {
  const { code, out, err } = await runHelm(['template', 'trial', '--namespace', 'apis'], values)
  if (code !== 0) throw new Error(err)
  return out
    .split(/^---$/m)
    .map((text) => Bun.YAML.parse(text) as Manifest | null)
    .filter((manifest) => manifest !== null)
}

type Schemas = { readonly kinds: readonly string[]; readonly $defs: object }

const schemas = (await Bun.file(
  join(ROOT, 'test/fixtures/kubernetes/schemas.json'),
).json()) as Schemas
const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false })
ajv.addSchema({ $id: 'kubernetes', $defs: schemas.$defs })

/** What the API of Kubernetes would refuse in a manifest. */
export function problemsOf(manifest: Manifest): string[] {
  const validate = validatorOf(manifest)
  if (!validate) return [`${manifest.apiVersion} ${manifest.kind} is not known`]
  validate(manifest)
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `${manifest.kind} ${manifest.metadata.name}${instancePath} ${message} ${JSON.stringify(params)}`,
  )
}

function validatorOf({ apiVersion, kind }: Manifest): ValidateFunction | undefined {
  const version = `${apiVersion.includes('/') ? '' : 'core/'}${apiVersion}`
  const [group = '', number = ''] = version.split('/')
  const end = `.${group.split('.')[0]}.${number}.${kind}`
  const name = schemas.kinds.find((one) => one.endsWith(end))
  return name === undefined ? undefined : ajv.getSchema(`kubernetes#/$defs/${name}`)
}
