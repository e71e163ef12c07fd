/**
 * Writes what a release contains as a CycloneDX document, for scanners: packages with their licences, hashes and who
 * needs whom, and the runtime. Two runs on one commit write the same bytes, and an invalid document is never written.
 */
import { parseArgs } from 'node:util'
import * as CDX from '@cyclonedx/cyclonedx-library'
import manifest from '../../package.json' with { type: 'json' }
import { type Dependency, label, productionDependencies } from './dependencies.ts'

const SPEC = CDX.Spec.Spec1dot6

export async function renderSbom(dependencies: readonly Dependency[]): Promise<string> {
  const root = new CDX.Models.Component(CDX.Enums.ComponentType.Application, manifest.name, {
    bomRef: manifest.name,
    version: manifest.version,
    description: manifest.description,
    licenses: licensesOf(manifest.license),
    purl: purlOf(manifest),
  })
  const bom = new CDX.Models.Bom({
    version: 1,
    metadata: new CDX.Models.Metadata({ component: root }),
  })
  const components = new Map(dependencies.map((one) => [label(one), componentOf(one)]))
  const runtime = runtimeComponent()
  for (const component of [...components.values(), runtime]) bom.components.add(component)

  for (const one of dependencies) connect(components.get(label(one)), one.needs)
  connect(
    root,
    Object.entries(manifest.dependencies).map(([name, version]) => `${name}@${version}`),
  )
  root.dependencies.add(runtime.bomRef)

  function connect(component: CDX.Models.Component | undefined, needs: readonly string[]): void {
    for (const need of needs.map((id) => components.get(id)))
      if (need) component?.dependencies.add(need.bomRef)
  }

  const serializer = new CDX.Serialize.JsonSerializer(
    new CDX.Serialize.JSON.Normalize.Factory(SPEC),
  )
  const text = serializer.serialize(bom, { sortLists: true, space: 2 })
  const broken = await new CDX.Validation.JsonStrictValidator(SPEC.version).validate(text)
  if (broken) throw new Error(`The document would not be valid: ${JSON.stringify(broken)}`)
  return `${text}\n`
}

function componentOf(one: Dependency): CDX.Models.Component {
  const [group, name = ''] = one.name.startsWith('@') ? one.name.split('/') : [undefined, one.name]
  const sha512 = Buffer.from(one.integrity.replace('sha512-', ''), 'base64').toString('hex')
  return new CDX.Models.Component(CDX.Enums.ComponentType.Library, name, {
    ...(group && { group }),
    bomRef: label(one),
    version: one.version,
    purl: purlOf(one),
    licenses: licensesOf(one.licence),
    hashes: new CDX.Models.HashDictionary([[CDX.Enums.HashAlgorithm['SHA-512'], sha512]]),
  })
}

/** It is half of the binary, and no package manager knows of it. */
function runtimeComponent(): CDX.Models.Component {
  const version = manifest.engines.bun
  return new CDX.Models.Component(CDX.Enums.ComponentType.Platform, 'bun', {
    bomRef: `bun@${version}`,
    version,
    purl: purlOf({ name: 'bun', version }),
    licenses: licensesOf('MIT'),
  })
}

function licensesOf(expression: string): CDX.Models.LicenseRepository {
  const { LicenseExpression, LicenseRepository, SpdxLicense } = CDX.Models
  const isOne = !/\s/.test(expression)
  return new LicenseRepository([
    isOne ? new SpdxLicense(expression) : new LicenseExpression(expression),
  ])
}

function purlOf({ name, version }: { name: string; version: string }): string {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

if (import.meta.main) {
  const { values: flags } = parseArgs({ options: { outfile: { type: 'string' } } })
  const text = await renderSbom(await productionDependencies())
  await Bun.write(flags.outfile ?? Bun.stdout, text)
}
