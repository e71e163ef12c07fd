/**
 * Makes everything that a release consists of, from the commit that is checked out: an archive for each system, Debian
 * packages, the list of contents, the Homebrew formula, the notes, and the checksums of it all. It publishes nothing. Two
 * runs on one commit make the same bytes, in whatever folder and at whatever time: CI runs it twice and compares.
 */
import { existsSync, mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { copyFile, mkdir, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import manifest from '../../package.json' with { type: 'json' }
import { SQLITE_MIGRATIONS } from '../../src/db/sqlite/migrations.gen.ts'
import { renderCompletion } from './completions.ts'
import { productionDependencies } from './dependencies.ts'
import { renderFormula } from './formula.ts'
import { isAllowed, renderNotices } from './licences.ts'
import { releaseNotes } from './notes.ts'
import { renderSbom } from './sbom.ts'
import { sourceDate } from './source-date.ts'

const ROOT = resolve(import.meta.dir, '../..')

/**
 * As Bun calls them. Its runtime for every x64 processor and its `baseline` have been one since 1.4; both names stay, so
 * that nobody with an old processor has to know.
 */
const TARGETS = [
  'linux-x64',
  'linux-x64-baseline',
  'linux-arm64',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
]

/** Debian's words for the targets that it has packages of. */
const DEBIAN: Readonly<Record<string, string>> = { 'linux-x64': 'amd64', 'linux-arm64': 'arm64' }

const { values: flags } = parseArgs({
  options: {
    targets: { type: 'string', default: TARGETS.join() },
    outdir: { type: 'string', default: 'dist/release' },
    repository: { type: 'string', default: 'OWNER/quota-proxy' },
  },
})
const { name, version } = manifest
const outdir = resolve(flags.outdir)
const epoch = sourceDate()
process.chdir(ROOT)

const notes = releaseNotes(await Bun.file('CHANGELOG.md').text(), version)
refuseWithoutFixture()
const dependencies = await productionDependencies()
if (!dependencies.every(({ licence }) => isAllowed(licence)))
  throw new Error('A licence is not allowed: bun scripts/release/licences.ts')

rmSync(outdir, { recursive: true, force: true })
await mkdir(outdir, { recursive: true })
const work = mkdtempSync(join(tmpdir(), `${name}-release-`))
try {
  for (const target of flags.targets.split(',')) await release(target)
} finally {
  rmSync(work, { recursive: true })
}
await Bun.write(join(outdir, `${name}-${version}.cdx.json`), await renderSbom(dependencies))
const formula = renderFormula(flags.repository, await checksums())
await Bun.write(join(outdir, `${name}.rb`), formula)
const sums = [...(await checksums())].map(([file, sum]) => `${sum}  ${file}\n`)
await Bun.write(join(outdir, 'SHA256SUMS'), sums.join(''))
await Bun.write(join(outdir, 'release-notes.md'), notes)

async function release(target: string): Promise<void> {
  const folder = join(work, `${name}-${version}-${target}`)
  const binary = join(folder, name)
  run([process.execPath, 'scripts/build.ts', `--target=bun-${target}`, `--outfile=${binary}`])
  const arch = DEBIAN[target]
  const debian = ['scripts/release/package-deb.ts', `--binary=${binary}`, `--arch=${arch}`]
  if (arch) run([process.execPath, ...debian, `--outdir=${outdir}`])

  await copyFile('LICENSE', join(folder, 'LICENSE'))
  await copyFile('CHANGELOG.md', join(folder, 'CHANGELOG.md'))
  await Bun.write(join(folder, 'THIRD_PARTY_NOTICES'), await renderNotices(dependencies))
  const completions = join(folder, 'completions')
  await Bun.write(join(completions, `${name}.bash`), renderCompletion('bash'))
  await Bun.write(join(completions, `_${name}`), renderCompletion('zsh'))
  await Bun.write(join(completions, `${name}.fish`), renderCompletion('fish'))
  if (target.startsWith('linux')) {
    await mkdir(join(folder, 'systemd'))
    for (const file of await readdir('deploy/systemd'))
      await copyFile(join('deploy/systemd', file), join(folder, 'systemd', file))
  }
  await pack(folder, join(outdir, `${basename(folder)}.tar.gz`))
}

/** The same bytes from the same files, whoever owns them and whenever they were written. */
async function pack(folder: string, archive: string): Promise<void> {
  const plain = ['--sort=name', '--format=ustar', '--owner=0', '--group=0', '--numeric-owner']
  const always = ['--mode=u=rwX,go=rX', `--mtime=@${epoch}`]
  const tar = `${folder}.tar`
  run([
    'tar',
    '--create',
    `--file=${tar}`,
    ...plain,
    ...always,
    `--directory=${work}`,
    basename(folder),
  ])
  await Bun.write(archive, Bun.gzipSync(await Bun.file(tar).bytes(), { level: 6 }))
  utimesSync(archive, epoch, epoch)
  rmSync(tar)
}

async function checksums(): Promise<Map<string, string>> {
  const files = (await readdir(outdir)).sort()
  const hash = async (file: string) =>
    new Bun.CryptoHasher('sha256').update(await Bun.file(join(outdir, file)).bytes()).digest('hex')
  return new Map(await Promise.all(files.map(async (file) => [file, await hash(file)] as const)))
}

/** What is released is what people upgrade from: its schema has to be stored for the tests of upgrades. */
function refuseWithoutFixture(): void {
  const newest = SQLITE_MIGRATIONS.at(-1)?.name
  if (existsSync(`test/fixtures/databases/${newest}.sqlite.gz`)) return
  throw new Error(`Store the schema first: bun test/fixtures/databases/make.ts ${newest}`)
}

function run(command: readonly string[]): void {
  const { success } = Bun.spawnSync([...command], { stdout: 'inherit', stderr: 'inherit' })
  if (!success) throw new Error(`${command.slice(0, 3).join(' ')} has failed`)
}
