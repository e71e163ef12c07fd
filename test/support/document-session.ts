/**
 * Runs what a document tells operators to do, as one session of a shell: every block of commands behind `<!-- session -->`,
 * from top to bottom, against a real server. The only stand-ins are for what belongs to the reader's machine: systemctl,
 * journalctl and sudo are functions that do the same to a process of this user; addresses and paths are put in.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { COMMAND, temporaryDirectory } from './server.ts'
import { freePort } from './wire.ts'

export type Block = {
  readonly commands: string
  /** What the document says that it prints, with `…` for what it leaves out; null if it does not say. */
  readonly output: string | null
}

export type Ran = Block & { readonly printed: string }

export type Session = {
  readonly ran: readonly Ran[]
  /** Why it stopped before the last block; empty if it did not. */
  readonly problem: string
}

/** A start takes a quarter of a second, a command as long; a document has some dozens. */
const SESSION_MS_MAX = 120_000

const BLOCK = /^<!-- session -->\n\n```bash\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms

export function sessionBlocks(text: string): Block[] {
  return [...text.matchAll(BLOCK)].map(([, commands = '', output]) => ({
    commands,
    output: output ?? null,
  }))
}

/** `files` lie in the folder that the reader works in, `settings` in the file of settings. */
export async function runSession(
  blocks: readonly Block[],
  files: Readonly<Record<string, string>> = {},
  settings: Readonly<Record<string, string>> = {},
): Promise<Session> {
  const folder = temporaryDirectory()
  const places = {
    data: join(folder, 'data'),
    settings: join(folder, 'quota-proxy.env'),
    log: join(folder, 'log'),
    pid: join(folder, 'pid'),
    url: `http://127.0.0.1:${await freePort()}`,
  }
  const work = join(folder, 'work')
  mkdirSync(work)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(work, name), text)
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(places.settings, lines.join(''))

  const shell = Bun.spawn(['bash', '-c', script(blocks, places)], {
    cwd: work,
    env: { PATH: process.env['PATH'] ?? '', HOME: work, TZ: 'UTC' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
    // A group of its own, so that nothing outlives a session that fails.
    detached: true,
  })
  const watchdog = setTimeout(() => end(shell.pid), SESSION_MS_MAX)
  const [out, err, code] = await Promise.all([
    shell.stdout.text(),
    shell.stderr.text(),
    shell.exited,
  ])
  clearTimeout(watchdog)
  rmSync(places.data, { recursive: true, force: true })
  const [, ...printed] = out.split(`${MARK}\n`)
  const ran = printed.flatMap((text, i) => {
    const block = blocks[i]
    return block ? [{ ...block, printed: text }] : []
  })
  return {
    ran,
    problem: code === 0 ? '' : `${ran.at(-1)?.commands}exits with ${code}:\n${out}${err}`,
  }
}

/** Stands between the outputs of two blocks, and in no output. */
const MARK = '=== next block ==='

type Places = Readonly<Record<'data' | 'settings' | 'log' | 'pid' | 'url', string>>

function script(blocks: readonly Block[], places: Places): string {
  const { data, settings, log, pid, url } = places
  const fill = (text: string) =>
    [
      ['http://localhost:8787', url],
      ['/var/lib/quota-proxy', data],
      ['/etc/quota-proxy/quota-proxy.env', settings],
      ['key_4hXcQ0m2VtYb7LrKp9Zs', '"$(example_id)"'],
      ['chown -R quota-proxy:', 'chown -R "$(id -un):"'],
    ].reduce((filled, [shown = '', real = '']) => filled.replaceAll(shown, real), text)
  const command = COMMAND.map((word) => `'${word}'`).join(' ')
  return `set -euo pipefail
quota-proxy() { CONFIG_FILE='${settings}' DATA_DIR='${data}' PORT='${new URL(url).port}' ${command} "$@"; }
example_id() { quota-proxy keys list --json | grep -o 'key_[0-9A-Za-z]*' | head -n 1; }
sudo() {
  if [ "$1" = -u ]; then shift 2; fi
  if [ "$1" = env ]; then
    shift
    # What the document runs with other settings is the same program.
    (while [[ $1 == *=* ]]; do export "$1"; shift; done; shift; ${command} "$@")
    return
  fi
  "$@"
}
journalctl() {
  while [ "$1" != -n ]; do shift; done
  tail -n "$2" '${log}'
}
systemctl() {
  case $1 in
    start)
      CONFIG_FILE='${settings}' DATA_DIR='${data}' PORT='${new URL(url).port}' LOG_FORMAT=json ${command} serve >>'${log}' 2>&1 &
      echo $! >'${pid}'
      curl -so /dev/null --retry 100 --retry-delay 0 --retry-connrefused '${url}/healthz'
      ;;
    stop)
      if kill "$(cat '${pid}')" 2>/dev/null; then wait "$(cat '${pid}')"; fi
      ;;
    reload)
      kill -HUP "$(cat '${pid}')"
      sleep 0.5
      ;;
    *) return 2 ;;
  esac
}
trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT
systemctl start quota-proxy
${blocks.map(({ commands }) => `echo '${MARK}'\n${fill(commands)}`).join('')}
systemctl stop quota-proxy
`
}

function end(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended meanwhile.
  }
}
