/** The Debian package of the compiled binary, packed once for all tests of a run. */
import { join, resolve } from 'node:path'
import { runCommand } from './command.ts'
import { temporaryDirectory } from './server.ts'

const ROOT = resolve(import.meta.dir, '../..')

let packed: Promise<string> | undefined

export function debianPackage(): Promise<string> {
  packed ??= packDebian()
  return packed
}

/** `prefix` is a command that packs in other circumstances. */
export async function packDebian(
  binary = join(ROOT, 'dist/quota-proxy'),
  prefix: readonly string[] = [],
): Promise<string> {
  const outdir = temporaryDirectory()
  const script = ['scripts/release/package-deb.ts', `--binary=${binary}`, `--outdir=${outdir}`]
  const { code, out, err } = await runCommand(
    [...prefix, process.execPath, ...script],
    { SOURCE_DATE_EPOCH: '1800000000' },
    ROOT,
  )
  const path = /^\S+\.deb/m.exec(out)?.[0]
  if (code !== 0 || !path) throw new Error(`the package was not packed:\n${out}${err}`)
  return path
}
