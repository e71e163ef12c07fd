/**
 * Packs a binary as a Debian package: the service with its user, its unit and its settings, in /etc where upgrades leave
 * them alone. The same binary gives the same bytes, whoever packs it and when. It needs dpkg-deb, and not root.
 */
import { chmodSync, mkdtempSync, rmSync, utimesSync } from 'node:fs'
import { mkdir, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import manifest from '../../package.json' with { type: 'json' }
import { renderCompletion } from './completions.ts'
import { productionDependencies } from './dependencies.ts'
import { renderNotices } from './licences.ts'
import { sourceDate } from './source-date.ts'

const ROOT = resolve(import.meta.dir, '../..')
const NAME = manifest.name
const MAINTAINER = 'The quota-proxy authors <quota-proxy@localhost>'
const CONFFILE = `etc/${NAME}/${NAME}.env`

/** Debian sorts `~` before the end, so that 1.0.0~rc.1 is older than 1.0.0. */
const VERSION = manifest.version.replace('-', '~')

type File = {
  readonly path: string
  readonly content: Blob | string | Uint8Array
  readonly mode?: number
}

const { values: flags } = parseArgs({
  options: {
    binary: { type: 'string', default: 'dist/quota-proxy' },
    arch: { type: 'string', default: 'amd64' },
    outdir: { type: 'string', default: 'dist' },
  },
})
const outfile = resolve(flags.outdir, `${NAME}_${VERSION}_${flags.arch}.deb`)
const epoch = sourceDate()
const tree = mkdtempSync(join(tmpdir(), `${NAME}-deb-`))
try {
  const files = [...(await content()), ...completions()]
  for (const file of files) await write(file)
  const bytes = files.reduce((sum, { path }) => sum + Bun.file(join(tree, path)).size, 0)
  await write({ path: 'DEBIAN/control', content: control(Math.ceil(bytes / 1024)) })
  await write({ path: 'DEBIAN/conffiles', content: `/${CONFFILE}\n` })
  await write({ path: 'DEBIAN/md5sums', content: await sums(files) })
  for (const script of ['postinst', 'prerm', 'postrm'])
    await write({
      path: `DEBIAN/${script}`,
      content: source(`deploy/debian/${script}`),
      mode: 0o755,
    })
  await settle(tree)
  await mkdir(dirname(outfile), { recursive: true })
  // Every dpkg can read gzip, and one thread of it always writes the same.
  const build = Bun.spawnSync(
    ['dpkg-deb', '--build', '--root-owner-group', '-Zgzip', '-z6', tree, outfile],
    {
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
      stdout: 'ignore',
      stderr: 'inherit',
    },
  )
  if (!build.success) throw new Error('dpkg-deb has failed')
} finally {
  rmSync(tree, { recursive: true })
}
console.log(`${outfile} ${(Bun.file(outfile).size / 2 ** 20).toFixed(1)} MiB`)

async function content(): Promise<File[]> {
  const doc = `usr/share/doc/${NAME}`
  const notices = await renderNotices(await productionDependencies())
  return [
    { path: `usr/bin/${NAME}`, content: Bun.file(flags.binary), mode: 0o755 },
    {
      path: `usr/lib/systemd/system/${NAME}.service`,
      content: source('deploy/systemd/quota-proxy.service'),
    },
    {
      path: `usr/lib/systemd/system/${NAME}@.service`,
      content: source('deploy/systemd/quota-proxy@.service'),
    },
    {
      path: `usr/lib/sysusers.d/${NAME}.conf`,
      content: source('deploy/systemd/quota-proxy.sysusers.conf'),
    },
    // Readable by root alone until the service's group is there; see deploy/debian/postinst.
    { path: CONFFILE, content: source('deploy/systemd/quota-proxy.env'), mode: 0o600 },
    { path: `${doc}/copyright`, content: await copyright() },
    { path: `${doc}/changelog.gz`, content: gzip(debianChangelog()) },
    { path: `${doc}/CHANGELOG.md.gz`, content: gzip(await source('CHANGELOG.md').text()) },
    { path: `${doc}/THIRD_PARTY_NOTICES.gz`, content: gzip(notices) },
    {
      path: `usr/share/lintian/overrides/${NAME}`,
      content: source('deploy/debian/lintian-overrides'),
    },
  ]
}

function completions(): File[] {
  const places = {
    bash: `usr/share/bash-completion/completions/${NAME}`,
    zsh: `usr/share/zsh/vendor-completions/_${NAME}`,
    fish: `usr/share/fish/vendor_completions.d/${NAME}.fish`,
  } as const
  return (['bash', 'zsh', 'fish'] as const).map((shell) => ({
    path: places[shell],
    content: renderCompletion(shell),
  }))
}

function control(sizeKiB: number): string {
  return `Package: ${NAME}
Version: ${VERSION}
Architecture: ${flags.arch}
Maintainer: ${MAINTAINER}
Installed-Size: ${sizeKiB}
Depends: libc6 (>= 2.17), systemd
Section: net
Priority: optional
Description: API keys with hard quotas in front of any HTTP API
 Hands out keys for an API without handing over the real one. Each key has
 limits of requests, tokens or money that hold under any load and across any
 crash; programs made for the API work unchanged.
`
}

function debianChangelog(): string {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')
  return `${NAME} (${VERSION}) stable; urgency=medium

  * Release ${manifest.version}: see CHANGELOG.md.gz in this directory.

 -- ${MAINTAINER}  ${date}
`
}

/** In the machine-readable form of Debian's copyright files, where a line is never empty. */
async function copyright(): Promise<string> {
  const licence = await source('LICENSE').text()
  const [, holder = '', text = ''] = /^Copyright \(c\) (.*)\n\n([\s\S]*)$/m.exec(licence) ?? []
  const body = text
    .trim()
    .split('\n')
    .map((line) => ` ${line || '.'}`)
  return `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ${NAME}
Comment: What the binary contains of others is in THIRD_PARTY_NOTICES.gz.

Files: *
Copyright: ${holder}
License: Expat

License: Expat
${body.join('\n')}
`
}

async function sums(files: readonly File[]): Promise<string> {
  const lines = await Promise.all(
    files
      .filter(({ path }) => path !== CONFFILE)
      .map(async ({ path }) => {
        const hash = new Bun.CryptoHasher('md5').update(await Bun.file(join(tree, path)).bytes())
        return `${hash.digest('hex')}  ${path}\n`
      }),
  )
  return lines.sort((a, b) => (a.slice(34) < b.slice(34) ? -1 : 1)).join('')
}

function source(path: string): Bun.BunFile {
  return Bun.file(join(ROOT, path))
}

function gzip(text: string): Uint8Array {
  return Bun.gzipSync(text, { level: 9 })
}

async function write({ path, content: data, mode = 0o644 }: File): Promise<void> {
  await Bun.write(join(tree, path), data)
  chmodSync(join(tree, path), mode)
}

/** Whatever the umask and the clock of whoever packs. */
async function settle(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) chmodSync(path, 0o755)
    utimesSync(path, epoch, epoch)
  }
  chmodSync(folder, 0o755)
  utimesSync(folder, epoch, epoch)
}
