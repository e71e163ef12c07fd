/**
 * Keeps the shape of the house: which room may see which, and who alone may do what reaches outside.
 * A rule that must bend is bent here, by name and with a reason, and nowhere else.
 */
import { expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Glob } from 'bun'
import { circlesIn } from '../support/import-circles.ts'
import { FUNCTION_LINES_MAX, longFunctions, SILENCED } from '../support/long-functions.ts'

/** What each room may see beside itself: rooms, folders or single files. */
const MAY_SEE: Readonly<Record<string, readonly string[]>> = {
  main: ['cli', 'lib'],
  // Commands that look into a database without serving it open it as the server does; where no server runs, those that
  // speak the admin API speak it to the app in their own process. Backups are made and restored where no server needs to run.
  cli: [
    'server', 'app', 'selftest', 'modules/backups/', 'db/open.ts', 'db/move/move.ts', 'db/backup.ts',
    'config', 'data-dir', 'domain', 'errors', 'lib',
  ], // biome-ignore format: one row,
  // It opens what the app is made of, and answers for the app when that cannot.
  server: [
    'app', 'listeners', 'reload', 'shutdown', 'dispatch', 'db/open.ts', 'db/housekeeping.ts', 'http/request/client-address.ts', 'config',
    'tracing', 'data-dir', 'errors', 'lib',
  ], // biome-ignore format: one row,
  // It keeps a port of the data path, and reads what that says of a call.
  tracing: ['proxy', 'config', 'lib'],
  listeners: [
    'dispatch',
    'proxy/send/websocket.ts',
    'http/request/sender.ts',
    'config',
    'data-dir',
  ],
  reload: ['config', 'data-dir', 'lib'],
  // It ends what the server has opened.
  shutdown: ['listeners', 'db/open.ts', 'config', 'lib'],
  dispatch: ['listener-routes', 'proxy', 'http', 'domain', 'errors', 'lib'],
  'listener-routes': ['http/request/sender.ts'],
  app: ['db', 'proxy', 'modules', 'http', 'config', 'domain', 'quota', 'errors', 'lib'],
  modules: ['http', 'config', 'domain', 'metering', 'quota', 'errors', 'lib'],
  proxy: ['http', 'config', 'domain', 'metering', 'quota', 'errors', 'lib'],
  // The access log and the API document describe calls, which the data path defines.
  http: ['proxy/call.ts', 'domain', 'errors', 'lib'],
  db: ['domain', 'quota', 'errors', 'lib'],
  domain: ['errors', 'lib'],
  config: ['domain', 'errors', 'lib'],
  'data-dir': ['domain', 'errors', 'lib'],
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
  'modules/auth/service.ts': 'every admin route hands the guard its check',
  'modules/calls/model.ts': 'a holder sees a call as the operator does',
  'modules/calls/show.ts': 'a holder sees a call as the operator does',
  'modules/keys/queries.ts': 'usage and holders find keys as the routes of keys do',
  'modules/keys/show.ts': 'usage and holders see keys as the routes of keys do',
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
  { rule: 'speak to storage', pattern: /S3Client/, places: ['modules/backups/storage.ts'] },
  {
    rule: 'say that a request is admitted',
    pattern: /(?<!function )markAdmitted\(/,
    places: ['proxy/admit.ts'],
  },
  { rule: 'read the clock', pattern: /Date\.now|new Date\(\)/, places: ['lib/clock.ts'] },
  { rule: 'have a default export', pattern: /^export default|\bas default\b/m, places: [] },
]

/** What is over the size alarm and one idea all the same, each with its reason. */
const LINES_MAX = 250
const LONG: Readonly<Record<string, string>> = {
  'config/options.ts': 'one table of settings, which is read as one',
}
const FILES_MAX = 12
const CROWDED: Readonly<Record<string, string>> = {}
const LONG_FUNCTIONS: Readonly<Record<string, string>> = {
  'lib/json/scan.ts scan':
    'the loop of a parser, whose steps share its state: a call for each character would cost more than the step',
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
    return { path, text, code, imports, lines: text.split('\n').length - 1 }
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
  const seen = new Set(
    files.flatMap(({ path, imports }) =>
      imports.filter((target) => dirname(target) !== dirname(path) && room(path) === 'modules'),
    ),
  )
  const idle = Object.keys(SHOWN).filter((target) => !seen.has(target))
  expect({ wrong, idle }).toEqual({ wrong: [], idle: [] })
})

test('no file imports itself by way of others, not even for types', () => {
  const circles = circlesIn(new Map(files.map(({ path, imports }) => [path, imports])))
  expect(circles.map((circle) => circle.map((path) => `src/${path}`).join(' → '))).toEqual([])
})

test('a circle of imports is found, however long, and nothing else is', () => {
  const chain = [...'abcdef'].map((file, i, all) => [file, all.slice(i + 1)] as const)
  expect(circlesIn(new Map(chain))).toEqual([])
  const closed = new Map([...chain, ['f', ['c']], ['x', ['y', 'a']], ['y', ['x']]])
  expect(circlesIn(closed)).toEqual([
    ['c', 'f', 'c'],
    ['d', 'f', 'c', 'd'],
    ['e', 'f', 'c', 'e'],
    ['x', 'y', 'x'],
  ])
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
  const excused = [
    // Makes the files before SQLite opens them.
    'db/sqlite/open.ts',
    // Certificates and dumps.
    'db/postgres/connect/tls.ts',
    'db/postgres/backup/archive.ts',
  ]
  const wrong = files.filter(
    ({ path, code }) => path.startsWith('db/') && !excused.includes(path) && opening.test(code),
  )
  expect(wrong.map(({ path }) => path)).toEqual([])
})

type Alarm = { readonly name: string; readonly says: string }

/** The alarms that have no exception, and the exceptions that nothing needs any more. */
function unexcused(
  alarms: readonly Alarm[],
  LONG_FUNCTIONS: Readonly<Record<string, string>>,
): string[] {
  return [
    ...alarms.filter(({ name }) => !LONG_FUNCTIONS[name]).map(({ says }) => says),
    ...Object.keys(LONG_FUNCTIONS)
      .filter((excused) => !alarms.some(({ name }) => name === excused))
      .map((excused) => `${excused} needs no exception any more`),
  ]
}

test('a file is one idea', () => {
  const long = files
    .filter(({ lines }) => lines > LINES_MAX)
    .map(({ path, lines }) => ({
      name: path,
      says: `src/${path} has ${lines} lines: is it two ideas?`,
    }))
  expect(unexcused(long, LONG)).toEqual([])
})

test('a folder can be taken in at a glance', () => {
  const crowded = [...Map.groupBy(files, ({ path }) => dirname(path))]
    .filter(([, inside]) => inside.length > FILES_MAX)
    .map(([folder, inside]) => ({
      name: folder,
      says: `src/${folder} has ${inside.length} files: is it two ideas?`,
    }))
  expect(unexcused(crowded, CROWDED)).toEqual([])
})

test('a function is one idea', () => {
  const long = longFunctions(SRC).map(({ path, name, lines }) => ({
    name: `${path} ${name}`,
    says: `${name} in src/${path} has ${lines} lines: is it two ideas?`,
  }))
  expect(unexcused(long, LONG_FUNCTIONS)).toEqual([])
  expect(files.filter(({ text }) => text.includes(SILENCED)).map(({ path }) => path)).toEqual([])
})

test('the count of lines sees functions of every kind', () => {
  const body = 'f()\n'.repeat(FUNCTION_LINES_MAX + 1)
  const kinds = {
    declared: `export function declared() {\n${body}}\n`,
    arrow: `export const arrow = async () => {\n${body}}\n`,
    method: `export const object = {\n  method() {\n${body}},\n}\n`,
    inner: `export const outer = f(\n  function inner() {\n${body}},\n)\n`,
  }
  const folder = mkdtempSync(join(tmpdir(), 'functions-'))
  for (const [name, code] of Object.entries(kinds)) writeFileSync(join(folder, `${name}.ts`), code)
  writeFileSync(join(folder, 'short.ts'), `export function short() {\n${body.slice(4)}}\n`)
  const found = longFunctions(folder)
  expect(found.map(({ name }) => name).sort()).toEqual(Object.keys(kinds).sort())
  rmSync(folder, { recursive: true })
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
