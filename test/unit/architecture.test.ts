/**
 * Keeps the shape of the house: which room may see which, and who alone may do what reaches outside.
 * A rule that must bend is bent here, by name and with a reason, and nowhere else.
 */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Glob } from 'bun'

/** What each room may see beside itself: rooms, folders or single files. */
const MAY_SEE: Readonly<Record<string, readonly string[]>> = {
  main: ['cli', 'lib'],
  // Commands that look into a database without serving it open it as the server does; where no server runs, those that
  // speak the admin API speak it to the app in their own process. Backups are made and restored where no server needs to run.
  cli: [
    'server', 'app', 'selftest', 'modules/backups/', 'db/open.ts', 'db/sqlite/backup/engine.ts', 'config',
    'data-dir', 'domain', 'errors', 'lib',
  ], // biome-ignore format: one row,
  // It opens what the app is made of, and answers for the app when that cannot.
  server: [
    'app', 'listeners', 'reload', 'dispatch', 'db/open.ts', 'db/housekeeping.ts', 'http/request/client-address.ts', 'config',
    'tracing', 'data-dir', 'errors', 'lib',
  ], // biome-ignore format: one row,
  // It keeps a port of the data path, and reads what that says of a call.
  tracing: ['proxy', 'config', 'lib'],
  listeners: ['dispatch', 'proxy/send/websocket.ts', 'http/request/sender.ts', 'config'],
  reload: ['config', 'data-dir', 'lib'],
  dispatch: ['listener-routes', 'proxy', 'http', 'domain', 'errors', 'lib'],
  'listener-routes': ['http/request/sender.ts'],
  app: ['db', 'proxy', 'modules', 'http', 'config', 'domain', 'quota', 'errors', 'lib'],
  modules: ['http', 'config', 'data-dir', 'domain', 'metering', 'quota', 'errors', 'lib'],
  proxy: ['http', 'config', 'domain', 'metering', 'quota', 'errors', 'lib'],
  // The access log and the API document describe calls, which the data path defines.
  http: ['proxy/call.ts', 'domain', 'errors', 'lib'],
  db: ['domain', 'quota', 'errors', 'lib'],
  domain: ['errors', 'lib'],
  // The guard of outgoing calls reads its own list of allowed targets, which is a setting.
  config: ['proxy/send/egress.ts', 'data-dir', 'errors', 'lib'],
  'data-dir': ['config', 'errors', 'lib'],
  metering: ['domain', 'quota', 'errors', 'lib'],
  quota: ['domain', 'errors', 'lib'],
  // It judges the server from outside, as any other program would: nothing of it may be shared.
  selftest: [],
  errors: [],
  lib: [],
}

/** What other modules may see of a module, with the reason; the rest is its insides. */
const SHOWN: Readonly<Record<string, string>> = {
  'modules/auth/index.ts': 'the guard stands before every admin route',
  'modules/auth/service.ts': 'what the guard is given, every admin route is given',
  'modules/keys/queries.ts': 'usage and holders find keys as their own routes do',
  'modules/keys/show.ts': 'usage shows keys as their own routes do',
  'modules/usage/sums.ts': 'holders are shown the same sums as the operator',
}

/** What only these files may do, and how it looks in the code. */
const ONLY: readonly { rule: string; pattern: RegExp; places: readonly string[] }[] = [
  { rule: 'read the environment', pattern: /process\.env|Bun\.env/, places: ['main.ts'] },
  { rule: 'exit', pattern: /process\.(exit|abort|kill)\b/, places: ['main.ts'] },
  {
    rule: 'listen',
    pattern: /Bun\.(serve|listen)\b|createServer/,
    places: ['listeners.ts', 'selftest/upstream.ts'],
  },
  {
    rule: 'fetch',
    pattern: /(?<!async )(?<![.\w])fetch\(|(globalThis|Bun)\.fetch\b/,
    places: [
      'proxy/send/forward.ts',
      'cli/installation/healthcheck.ts',
      'cli/connect.ts',
      'selftest/child.ts',
    ],
  },
  { rule: 'open a WebSocket', pattern: /new WebSocket\(/, places: ['proxy/send/websocket.ts'] },
  { rule: 'speak to storage', pattern: /S3Client/, places: ['modules/backups/remote.ts'] },
  { rule: 'read the clock', pattern: /Date\.now|new Date\(\)/, places: ['lib/clock.ts'] },
  { rule: 'have a default export', pattern: /^export default|\bas default\b/m, places: [] },
]

/** Files over the size alarm that are one idea all the same, each with its reason. */
const LINES_MAX = 250
const LONG: Readonly<Record<string, string>> = {
  'config/options.ts': 'one table of settings, which is read as one',
}

const SRC = join(import.meta.dir, '../../src')

const files = [...new Glob('**/*.{ts,tsx}').scanSync(SRC)]
  .filter((path) => !path.endsWith('.d.ts'))
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8')
    // Comments may name what code may not do.
    const code = text.replace(/^\s*(\/\/|\/?\*).*$/gm, '')
    const imports = [...code.matchAll(/(?:from|import\(?)\s*'(\.[^']+)'/g)]
      .map(([, target = '']) => join(dirname(path), target))
      .filter((target) => !target.startsWith('..'))
    return { path, code, imports, lines: text.split('\n').length - 1 }
  })

function room(path: string): string {
  return path.split(/[/.]/)[0] ?? path
}

function visible(from: string, target: string): boolean {
  const seen = [room(from), ...(MAY_SEE[room(from)] ?? [])]
  const isFolder = (one: string) => one.endsWith('/') && target.startsWith(one)
  return seen.includes(room(target)) || seen.includes(target) || seen.some(isFolder)
}

test('imports point down', () => {
  const wrong = files.flatMap(({ path, imports }) =>
    imports
      .filter((target) => !visible(path, target))
      .map(
        (target) => `src/${path} imports src/${target}; ${room(path)} may not see ${room(target)}`,
      ),
  )
  expect(wrong).toEqual([])
})

test('modules do not see the insides of each other', () => {
  const wrong = files.flatMap(({ path, imports }) =>
    imports
      .filter((target) => room(path) === 'modules' && room(target) === 'modules')
      .filter((target) => target.split('/')[1] !== path.split('/')[1] && !SHOWN[target])
      .map((target) => `src/${path} imports src/${target}; take what it needs as an argument`),
  )
  expect(wrong).toEqual([])
})

for (const { rule, pattern, places } of ONLY) {
  const who = places.length > 0 ? `only ${places.join(' and ')}` : 'no file'
  test(`${who} may ${rule}`, () => {
    const wrong = files
      .filter(({ path, code }) => pattern.test(code) && !places.includes(path))
      .map(({ path }) => `src/${path} does, but ${who} may ${rule}`)
    // An exception that nobody needs any more, or a pattern that would not notice.
    const idle = places.filter((place) =>
      files.every(({ path, code }) => path !== place || !pattern.test(code)),
    )
    expect({ wrong, idle }).toEqual({ wrong: [], idle: [] })
  })
}

test('nobody but SQLite opens a database that is served: closing it would drop the locks of SQLite', () => {
  const opening = /\b(openSync|readFileSync|readFile|createReadStream|copyFileSync)\(|Bun\.file\(/
  // Makes the files before SQLite opens them.
  const wrong = files.filter(
    ({ path, code }) => path.startsWith('db/') && path !== 'db/open.ts' && opening.test(code),
  )
  expect(wrong.map(({ path }) => path)).toEqual([])
})

test('a file is one idea', () => {
  const wrong = files.flatMap(({ path, lines }) => {
    if (lines > LINES_MAX && !LONG[path])
      return [`src/${path} has ${lines} lines: is it two ideas?`]
    if (lines <= LINES_MAX && LONG[path])
      return [`src/${path} is short again: remove its exception`]
    return []
  })
  expect(wrong).toEqual([])
})

test('no room is a drawer for leftovers', () => {
  const wrong = files
    .filter(({ path }) => /(^|\/)(utils?|helpers?|common|misc|types)[/.]/.test(path))
    .map(({ path }) => `src/${path}: name it after the idea in it`)
  expect(wrong).toEqual([])
})

test('the walk sees the whole house', () => {
  const main = files.find(({ path }) => path === 'main.ts')
  expect(main?.imports).not.toBeEmpty()
})
