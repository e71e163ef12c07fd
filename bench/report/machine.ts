/** What the page says of the machine and the programs that a run was made with. */
import { readFileSync, statfsSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import { BINARY } from '../servers/quota-proxy.ts'

export type Machine = readonly (readonly [string, string])[]

/** Above this somebody else is using the machine. */
const BUSY = 0.5

/** Names of what statfs(2) answers. */
const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  1481003842: 'XFS',
  2435016766: 'Btrfs',
  16914836: 'tmpfs (memory: checkpoints cost nothing here)',
  2035054128: 'overlayfs',
  801189825: 'ZFS',
}

/** To be asked before the run, which is a load itself. */
export function describeMachine(at: Date): Machine {
  const processors = cpus()
  const load = loadavg()[0] ?? 0
  return [
    ['Date', at.toISOString().slice(0, 10)],
    ['quota-proxy', `${said(BINARY, '--version').replace('quota-proxy ', '')}${changes()}`],
    ['CPU', `${processors[0]?.model.trim()}, ${processors.length} cores`],
    ['Memory', `${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
    ['System', `${distribution()}, Linux ${release()}`],
    ['File system of the databases', FILE_SYSTEMS[statfsSync(tmpdir()).type] ?? 'another'],
    ['Bun of the bare proxy and the upstream', Bun.version],
    ['wrk', said('wrk', '-v').replace(/^wrk (\S+).*/, '$1')],
    ['Load before the run', `${load.toFixed(2)}${load > BUSY ? ' (the machine was busy)' : ''}`],
  ]
}

/** What a program says about its version, wherever it says it. */
function said(command: string, flag: string): string {
  const { stdout, stderr } = Bun.spawnSync([command, flag])
  return `${stdout}${stderr}`.trim().split('\n')[0] ?? ''
}

/** The commit in the binary does not tell whether the sources were changed after it. */
function changes(): string {
  const sources = [':/src', ':/package.json', ':/bun.lock']
  const git = Bun.spawnSync(['git', 'status', '--porcelain', ...sources], {
    cwd: import.meta.dir,
    stderr: 'ignore',
  })
  return git.stdout.length > 0 ? ', with changes that are not committed' : ''
}

function distribution(): string {
  try {
    const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1]
    return name ?? 'unknown distribution'
  } catch {
    return 'unknown distribution'
  }
}
