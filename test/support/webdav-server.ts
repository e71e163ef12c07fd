/** A real WebDAV server: Apache's mod_dav, in a process of its own, on an empty directory. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Subprocess } from 'bun'
import { closeWithRun, temporaryDirectory } from './server.ts'
import { freePort } from './wire.ts'

const MODULES = '/usr/lib/apache2/modules'

/** Room enough on a busy machine; a start that takes longer has failed. */
const START_MS_MAX = 15_000

const running = new Set<Subprocess>()
closeWithRun(async () => {
  for (const child of running) child.kill('SIGTERM')
  await Promise.all([...running].map((child) => child.exited))
})

/** Its collection is `/dav`; nothing else is served. */
export async function startWebDavServer(): Promise<{ readonly url: string }> {
  const directory = temporaryDirectory()
  const port = await freePort()
  for (const path of ['', 'files', 'files/dav', 'locks']) {
    mkdirSync(join(directory, path), { recursive: true })
    // Started by root, it serves as somebody else.
    chmodSync(join(directory, path), 0o777)
  }
  const config = join(directory, 'httpd.conf')
  const errors = join(directory, 'errors')
  writeFileSync(config, configOf(directory, port, errors))
  // In one process, as the others would outlive one that is killed.
  const child = Bun.spawn(['apache2', '-X', '-f', config], {
    env: { PATH: `${process.env['PATH']}:/usr/sbin` },
    stdio: ['ignore', 'ignore', Bun.file(errors)],
  })
  running.add(child)
  void child.exited.then(() => running.delete(child))
  const url = `http://127.0.0.1:${port}/dav`
  const deadline = performance.now() + START_MS_MAX
  while (performance.now() < deadline && child.exitCode === null) {
    const answer = await fetch(url, { method: 'OPTIONS' }).catch(() => null)
    if (answer?.ok) return { url }
    await Bun.sleep(10)
  }
  throw new Error(`no WebDAV server: ${readFileSync(errors, 'utf8')}`)
}

function configOf(directory: string, port: number, errors: string): string {
  const modules = ['mpm_event', 'authz_core', 'dav', 'dav_fs'].map(
    (name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`,
  )
  return `
    ServerRoot ${directory}
    ServerName localhost
    Listen 127.0.0.1:${port}
    ${modules.join('\n')}
    ${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
    PidFile ${join(directory, 'pid')}
    ErrorLog ${errors}
    DocumentRoot ${join(directory, 'files')}
    DavLockDB ${join(directory, 'locks/db')}
    <Directory ${join(directory, 'files')}>
      Dav on
    </Directory>
  `
}
