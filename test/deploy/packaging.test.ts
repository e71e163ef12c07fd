/** The Debian package, made of the compiled binary and taken apart again. Installing it is for systemd.test.ts. */
import { describe, expect, test } from 'bun:test'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { runCommand } from '../support/command.ts'
import { debianPackage, packDebian } from '../support/package.ts'
import { temporaryDirectory } from '../support/server.ts'

const isBinary = process.env['TARGET'] === 'binary'

async function ask(...command: string[]): Promise<string> {
  const { code, out, err } = await runCommand(command)
  if (code !== 0) throw new Error(`${command.join(' ')}: ${out}${err}`)
  return out
}

describe.skipIf(!isBinary)('the Debian package (needs TARGET=binary)', () => {
  test('is the same to the byte whoever packs it, wherever and whenever', async () => {
    // Packing does not look into the binary, and a small file is packed sooner.
    const otherwise = ['env', 'TZ=Asia/Tokyo', 'bash', '-c', 'umask 077; "$@"', '-']
    const now = await Bun.file(await packDebian('LICENSE')).bytes()
    // A file's time in an archive has seconds.
    await Bun.sleep(1_100)
    const later = await Bun.file(await packDebian('LICENSE', otherwise)).bytes()
    expect(Buffer.compare(now, later)).toBe(0)
  }, 60_000)

  test('says what it is, what it needs, and which file is the operator’s', async () => {
    const path = await debianPackage()
    const control = await ask('dpkg-deb', '--field', path)
    expect(control).toContain(`Package: quota-proxy\nVersion: ${manifest.version}\n`)
    expect(control).toMatch(/^Depends: libc6 \(>= 2\.17\), systemd$/m)
    expect(await ask('dpkg-deb', '--info', path, 'conffiles')).toBe(
      '/etc/quota-proxy/quota-proxy.env\n',
    )
  }, 60_000)

  test('holds files of root that nobody else can write, and settings that nobody else can read', async () => {
    const listed = await ask('dpkg-deb', '--contents', await debianPackage())
    const rows = listed
      .trim()
      .split('\n')
      .map((row) => row.split(/\s+/))
    const modes = new Map(rows.map(([mode = '', , , , , name = '']) => [name, mode]))
    expect(rows.every(([, owner]) => owner === 'root/root')).toBe(true)
    expect([...modes].filter(([, mode]) => /^.(.{4}w|.{7}w)/.test(mode))).toEqual([])
    expect(modes.get('./etc/quota-proxy/quota-proxy.env')).toBe('-rw-------')
    for (const path of [
      'bin/quota-proxy',
      'lib/systemd/system/quota-proxy.service',
      'lib/systemd/system/quota-proxy@.service',
      'lib/sysusers.d/quota-proxy.conf',
      'share/bash-completion/completions/quota-proxy',
      'share/zsh/vendor-completions/_quota-proxy',
      'share/fish/vendor_completions.d/quota-proxy.fish',
      'share/doc/quota-proxy/copyright',
      'share/doc/quota-proxy/THIRD_PARTY_NOTICES.gz',
    ])
      expect([...modes.keys()]).toContain(`./usr/${path}`)
  }, 60_000)

  test('carries the binary whole: it starts from where it is unpacked', async () => {
    const root = temporaryDirectory()
    await ask('dpkg-deb', '--extract', await debianPackage(), root)
    const binary = join(root, 'usr/bin/quota-proxy')
    expect(statSync(binary).mode & 0o777).toBe(0o755)
    expect(await ask(binary, '--version')).toContain(`quota-proxy ${manifest.version} `)
  }, 60_000)

  test.skipIf(!Bun.which('lintian'))(
    'finds nothing to complain about in lintian',
    async () => {
      const lintian = ['lintian', '--allow-root', '--fail-on', 'error,warning']
      const { code, out } = await runCommand([...lintian, await debianPackage()])
      expect({ code, out }).toEqual({ code: 0, out: '' })
    },
    60_000,
  )
})
