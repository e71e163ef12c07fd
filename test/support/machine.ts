/**
 * A whole Debian with systemd in charge: this machine's own files under an overlay that is thrown away, booted in a
 * container without a network. Whatever is installed in it, or goes wrong in it, leaves no trace outside.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from './server.ts'

export type Step = { readonly title: string; readonly code: number; readonly output: string }

/** Room enough on a busy machine: a boot takes two seconds, and the steps each wait for little. */
const BOOT_MS_MAX = 120_000

/** Why nothing can be booted here; null if it can. In CI there has to be what it needs. */
export function machineObstacle(): string | null {
  if (process.getuid?.() !== 0) return 'needs root'
  if (!Bun.spawnSync(['unshare', '--mount', 'true']).success) return 'needs the right to mount'
  if (Bun.which('systemd-nspawn')) return null
  if (process.env['CI'])
    throw new Error('There is no systemd-nspawn: install the Debian package systemd-container.')
  return 'needs the Debian package systemd-container'
}

/**
 * Boots, runs the steps one after the other, each as a script of bash that ends at its first failure, and shuts down.
 * `files` are put into /srv.
 */
export async function runInMachine(
  steps: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>>,
): Promise<Step[]> {
  const directory = temporaryDirectory()
  const [upper, work, root] = ['upper', 'work', 'root'].map((name) => {
    const path = join(directory, name)
    mkdirSync(path)
    return path
  }) as [string, string, string]
  const options = `lowerdir=/,upperdir=${upper},workdir=${work}`
  must(['mount', '-t', 'overlay', 'overlay', '-o', options, root])
  try {
    // In containers it keeps packages from starting their services.
    rmSync(join(root, 'usr/sbin/policy-rc.d'), { force: true })
    prepare(root, steps, files)
    const boot = Bun.spawn(
      ['systemd-nspawn', '--quiet', '--register=no', '--keep-unit', '--private-network', '--boot',
        `--directory=${root}`, 'systemd.unit=steps.service'], // biome-ignore format: one command
      {
        env: { PATH: process.env['PATH'] ?? '', SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
        stdin: 'ignore',
        stdout: Bun.file(join(directory, 'boot')),
        stderr: Bun.file(join(directory, 'boot')),
        timeout: BOOT_MS_MAX,
      },
    )
    await boot.exited
    return results(root, steps, () => readFileSync(join(directory, 'boot'), 'utf8'))
  } finally {
    // Whatever still holds it: what is removed next must not be what is mounted.
    must(['umount', '--lazy', root])
  }
}

function prepare(
  root: string,
  steps: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>>,
): void {
  mkdirSync(join(root, 'srv/steps'), { recursive: true })
  for (const [name, from] of Object.entries(files)) must(['cp', from, join(root, 'srv', name)])
  for (const [i, script] of Object.values(steps).entries())
    writeFileSync(join(root, `srv/steps/${i}.sh`), script)
  writeFileSync(
    join(root, 'srv/run.sh'),
    `cd /srv/steps
for i in {0..${Object.keys(steps).length - 1}}; do
  bash -eux -o pipefail $i.sh >$i.log 2>&1
  echo $? >$i.code
done
`,
  )
  writeFileSync(
    join(root, 'etc/systemd/system/steps.service'),
    `[Unit]
Requires=sysinit.target
After=sysinit.target
[Service]
Type=oneshot
ExecStart=/bin/bash /srv/run.sh
ExecStopPost=/bin/systemctl poweroff --force
`,
  )
}

function results(
  root: string,
  steps: Readonly<Record<string, string>>,
  boot: () => string,
): Step[] {
  const folder = join(root, 'srv/steps')
  const there = new Set(readdirSync(folder))
  return Object.keys(steps).map((title, i) => {
    if (!there.has(`${i}.code`)) throw new Error(`“${title}” was not reached:\n${boot()}`)
    const output = readFileSync(join(folder, `${i}.log`), 'utf8')
    return { title, code: Number(readFileSync(join(folder, `${i}.code`), 'utf8')), output }
  })
}

function must(command: readonly string[]): void {
  const { success, stderr } = Bun.spawnSync([...command], { stderr: 'pipe' })
  if (!success) throw new Error(`${command.join(' ')}: ${stderr.toString()}`)
}
