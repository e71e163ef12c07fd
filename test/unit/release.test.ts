/** What a release says about itself: what is in it, under which licences, and what has changed. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { label, productionDependencies } from '../../scripts/release/dependencies.ts'
import { renderFormula } from '../../scripts/release/formula.ts'
import { isAllowed, renderNotices } from '../../scripts/release/licences.ts'
import { releaseNotes } from '../../scripts/release/notes.ts'
import { renderSbom } from '../../scripts/release/sbom.ts'
import { runCommand } from '../support/command.ts'
import { temporaryDirectory } from '../support/server.ts'

const dependencies = await productionDependencies()
const labels = dependencies.map(label)

test('everything that production dependencies need is listed once, and nothing that only builds or tests', () => {
  expect(labels).toEqual([...new Set(labels)])
  const direct = Object.keys(manifest.dependencies)
  expect(direct.filter((name) => !dependencies.some((one) => one.name === name))).toEqual([])
  expect(dependencies.flatMap(({ needs }) => needs).filter((id) => !labels.includes(id))).toEqual(
    [],
  )
  const tools = Object.keys(manifest.devDependencies)
  const shared = dependencies.flatMap(({ needs }) => needs).map((id) => id.replace(/@[^@]*$/, ''))
  const intruders = tools.filter((name) => !shared.includes(name))
  expect(dependencies.filter(({ name }) => intruders.includes(name))).toEqual([])
  expect(dependencies.filter(({ integrity }) => !/^sha512-.{88}$/.test(integrity))).toEqual([])
})

test('every licence in the binary is one that asks for nothing but its text', () => {
  expect(dependencies.filter(({ licence }) => !isAllowed(licence))).toEqual([])
})

test('a licence is allowed only if one choice it gives needs nothing that is not', () => {
  const allowed = ['MIT', '(MIT OR CC0-1.0)', 'GPL-3.0-only OR MIT', 'MIT AND ISC']
  const refused = ['GPL-3.0-only', 'MIT AND GPL-3.0-only', 'none', '', 'UNLICENSED', 'MIT-like']
  refused.push('(MIT AND (GPL-3.0-only OR LGPL-3.0-only))', 'SEE LICENSE IN LICENSE')
  expect(allowed.map(isAllowed)).toEqual(allowed.map(() => true))
  expect(refused.map(isAllowed)).toEqual(refused.map(() => false))
})

test('the notices name every package and hold the text of its licence', async () => {
  const notices = await renderNotices(dependencies)
  expect(labels.filter((id) => !notices.includes(`\n${id}\nLicence: `))).toEqual([])
  expect(notices).toContain('Copyright 2022 saltyAom')
  expect(notices).toContain('TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION')
  expect(notices).toContain(`Bun ${manifest.engines.bun}`)
  expect(notices).not.toContain(process.cwd())
})

test('the list of contents is valid CycloneDX, whole, and the same each time', async () => {
  // What it writes has been held against the schema before; an invalid one throws.
  const text = await renderSbom(dependencies)
  expect(await renderSbom(dependencies)).toBe(text)
  const sbom = JSON.parse(text) as {
    components: {
      'bom-ref': string
      purl: string
      hashes?: { content: string }[]
      licenses: object[]
    }[]
    dependencies: { ref: string; dependsOn?: string[] }[]
  }
  const listed = sbom.components.map((component) => component['bom-ref']).sort()
  expect(listed).toEqual([...labels, `bun@${manifest.engines.bun}`].sort())
  expect(sbom.components.filter(({ purl }) => !/^pkg:npm\/[^@]+@[^@]+$/.test(purl))).toEqual([])
  const unhashed = sbom.components.filter(({ hashes }) => hashes?.[0]?.content.length !== 128)
  expect(unhashed.map((component) => component['bom-ref'])).toEqual([`bun@${manifest.engines.bun}`])
  const root = sbom.dependencies.find(({ ref }) => ref === manifest.name)
  expect(root?.dependsOn?.length).toBe(Object.keys(manifest.dependencies).length + 1)
})

test('the notes of a release are its own section of the changelog, and there is none without one', () => {
  const changelog =
    '# C\n\n## Unreleased\n\n- new\n\n## 1.10.0\n\n- ten\n\n## 1.1.0 - 2026-01-01\n\n- one\n'
  expect(releaseNotes(changelog, '1.1.0')).toBe('- one\n')
  expect(releaseNotes(changelog, '1.10.0')).toBe('- ten\n')
  expect(() => releaseNotes(changelog, '1.2.0')).toThrow('CHANGELOG.md has no section "## 1.2.0"')
  expect(() => releaseNotes('## 1.0.0\n', '1.0.0')).toThrow()
})

const sums = new Map(
  ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64'].map((target, i) => [
    `quota-proxy-${manifest.version}-${target}.tar.gz`,
    String(i).repeat(64),
  ]),
)

test('the formula holds each system’s archive to its own checksum', () => {
  const formula = renderFormula('some/quota-proxy', sums)
  const pairs = [...formula.matchAll(/url ".*\/v[\d.]+\/(\S+)"\n\s+sha256 "(\w+)"/g)]
  expect(pairs.map(([, archive, sum]) => [archive, sum])).toEqual(
    [...sums].map((pair) => [...pair]),
  )
})

test.skipIf(!Bun.which('ruby'))('the formula is Ruby (needs ruby)', async () => {
  const path = join(temporaryDirectory(), 'quota-proxy.rb')
  await Bun.write(path, renderFormula('some/quota-proxy', sums))
  expect(await runCommand(['ruby', '-c', path])).toEqual({ code: 0, out: 'Syntax OK\n', err: '' })
})

test('every action that a workflow uses is held to a commit', async () => {
  for (const path of ['.github/workflows/ci.yml', '.github/workflows/release.yml']) {
    const uses = [...(await Bun.file(path).text()).matchAll(/uses: (.*)/g)].map(([, of = '']) => of)
    expect(uses.length).toBeGreaterThan(1)
    expect(uses.filter((of) => !/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(of))).toEqual(
      [],
    )
  }
})
