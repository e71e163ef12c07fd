/** Holds the documents to what they name: files, headings, tests, packages. A sentence about something gone is a defect. */
import { expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Glob } from 'bun'
import manifest from '../../package.json' with { type: 'json' }
import { OPTIONS } from '../../src/config/options.ts'
import {
  anchorsOf,
  DOCUMENTS,
  destination,
  localLinks,
  ROOT,
  readDocument,
  sessionOf,
} from '../support/markdown.ts'

/** About two lines of a page: what a reader takes in at a glance. */
const CELL_LENGTH_MAX = 240

const texts = new Map(
  await Promise.all(DOCUMENTS.map(async (path) => [path, await readDocument(path)] as const)),
)
const architecture = texts.get('docs/ARCHITECTURE.md') ?? ''

test('every link between documents leads to a file and a heading that are there', () => {
  const links = [...texts].flatMap(([path, text]) => localLinks(path, text))
  expect(links.length).toBeGreaterThan(20)
  const broken = links.filter((link) => {
    const { path, anchor } = destination(link)
    if (!existsSync(join(ROOT, path))) return true
    return anchor !== undefined && !anchorsOf(texts.get(path) ?? '').includes(anchor)
  })
  expect(broken).toEqual([])
})

test('every alert leads to a heading that says what to do, in both languages', async () => {
  const rules = await readDocument('deploy/monitoring/rules.yml')
  const alerts = new Set([...rules.matchAll(/- alert: (\w+)/g)].map(([, name = '']) => name))
  const runbooks = new Set([...rules.matchAll(/runbook_url: (\S+)/g)].map(([, url]) => url))
  expect([...runbooks]).toEqual(
    [...alerts].map((name) => `docs/failure-modes.md#${name.toLowerCase()}`),
  )
  for (const path of ['docs/failure-modes.md', 'docs/zh/failure-modes.md']) {
    const anchors = anchorsOf(texts.get(path) ?? '')
    expect([...alerts].filter((name) => !anchors.includes(name.toLowerCase()))).toEqual([])
  }
})

test('every file that a document names is there', () => {
  const named = [...texts].flatMap(([from, text]) =>
    [...text.matchAll(/`((?:src|test|docs|scripts|drizzle)\/[\w./-]*)`/g)].map(([, path = '']) => ({
      from,
      path,
    })),
  )
  expect(named.length).toBeGreaterThan(20)
  expect(named.filter(({ path }) => !existsSync(join(ROOT, path)))).toEqual([])
})

test('every file that the code map puts into a room is in that room', () => {
  const [, map = ''] = architecture.split('## Code map')
  const rows = [...map.matchAll(/^\| `(src\/[\w-]+\/)` \|(.*)\|$/gm)]
  const rooms = readdirSync(join(ROOT, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `src/${name}/`)
  expect(rows.map(([, room]) => room).sort()).toEqual(rooms.sort())
  const missing = rows.flatMap(([, room = '', text = '']) =>
    quoted(text)
      .filter((name) => /^[\w-]+\.ts$/.test(name))
      .filter((name) => [...new Glob(`${room}**/${name}`).scanSync(ROOT)].length === 0)
      .map((name) => room + name),
  )
  expect(missing).toEqual([])
})

test('the twelve promises are listed, each with a test that guards it or with what is missing', () => {
  expect(promises().map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
  const bare = promises().filter(
    ({ guards, text }) => guards.length === 0 && !text.includes('Not yet'),
  )
  expect(bare).toEqual([])
})

test('a promise takes three sentences at most, and no cell of a table there is a paragraph', () => {
  const sentences = (text: string) => text.match(/[.:](?= [A-Z]|$| \()/g)?.length ?? 0
  expect(promises().filter(({ said }) => said === '' || sentences(said) > 3)).toEqual([])
  const cells = architecture.match(/^\|.*\|$/gm)?.flatMap((row) => row.split('|')) ?? []
  expect(cells.length).toBeGreaterThan(20)
  expect(cells.filter((cell) => cell.length > CELL_LENGTH_MAX)).toEqual([])
})

test('every test that guards a promise bears the name that the page gives it', async () => {
  const guards = promises().flatMap((promise) => promise.guards)
  expect(guards.length).toBe(promises().flatMap(({ text }) => text.match(/“/g) ?? []).length)
  const missing: string[] = []
  for (const { path, name } of guards) {
    const source = await Bun.file(join(ROOT, path)).text()
    // A name is a test's title, or that of its group and its own, with › between them.
    const gone = name.split(' › ').filter((title) => !titlesOf(source).includes(title))
    if (gone.length > 0) missing.push(`${path}: ${gone.join(' › ')}`)
  }
  expect(missing).toEqual([])
})

test('every dependency has its sentence', () => {
  const sentences = texts.get('docs/adr/0006-dependencies.md') ?? ''
  const packages = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
  expect(packages.filter((name) => !sentences.includes(`| \`${name}\` | `))).toEqual([])
})

test('every decision is in the index of decisions, once', () => {
  const index = localLinks('docs/adr/README.md', texts.get('docs/adr/README.md') ?? '')
  const decisions = DOCUMENTS.filter((path) => /^docs\/adr\/\d/.test(path))
  expect(index.map(({ target }) => `docs/adr/${target}`)).toEqual(decisions)
})

for (const path of ['README.md', 'README.zh-CN.md']) {
  const readme = texts.get(path) ?? ''

  test(`${path} names settings that exist, with the defaults that they have`, () => {
    const rows = [...readme.matchAll(/^\| (`[A-Z_`、, ]+`) \| ([^|]*) \|/gm)]
    expect(rows.length).toBeGreaterThan(5)
    for (const [, names = '', defaults = ''] of rows) {
      const options = quoted(names).map((name) => optionOf(name))
      const shown = options.map((option) => option?.default).filter(Boolean)
      expect({ names, found: options.length }).toEqual({ names, found: quoted(names).length })
      expect({ names, defaults: quoted(defaults) }).toEqual({ names, defaults: shown as string[] })
    }
  })

  test(`${path} has no comment behind a command, which zsh would take for arguments`, () => {
    const commands = [...readme.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block)
    expect(commands.length).toBeGreaterThan(5)
    expect(commands.filter((block) => /(^|\s)#/m.test(block ?? ''))).toEqual([])
  })
}

test('commands from the sources need no network once Bun is there, but for the two that set up', () => {
  for (const path of ['README.md', 'README.zh-CN.md', 'docs/recipes.md', 'docs/recipes.zh-CN.md']) {
    const written = texts.get(path)?.match(/npx [^\n`]*bun@[^\n`]*/g) ?? []
    expect(written.length).toBeGreaterThan(0)
    const asking = written.filter((command) => !command.startsWith('npx --prefer-offline -y bun@'))
    const setUp = path.startsWith('README') ? ['run start', 'run test'] : []
    expect(asking).toEqual(setUp.map((words) => `npx -y bun@1.4.5 ${words}`))
  }
})

test('both READMEs show the same session', () => {
  const session = sessionOf(texts.get('README.md') ?? '')
  expect(session.commands).toContain('/admin/keys')
  expect(sessionOf(texts.get('README.zh-CN.md') ?? '')).toEqual(session)
})

test('no document names the machine that it was written on', () => {
  const wrong = [...texts].filter(([, text]) => /\/(home|root|Users)\/\w/.test(text))
  expect(wrong.map(([path]) => path)).toEqual([])
})

/** The sections of the promises: `### P1: …`, a few sentences, then `- \`file\`: “test”, “test”`. */
function promises() {
  const [, after = ''] = architecture.split('\n## Promises\n')
  const [sections = ''] = after.split('\n## ')
  return sections
    .split('\n### P')
    .slice(1)
    .map((section) => {
      const text = section.replace(/^.*\n/, '').replace(/\s+/g, ' ').trim()
      const [said = ''] = text.split(' - ')
      const guards = [...text.matchAll(/`(test\/[\w./-]+)`:((?:,? “[^”]+”)+)/g)].flatMap(
        ([, path = '', names = '']) =>
          [...names.matchAll(/“([^”]+)”/g)].map(([, name = '']) => ({ path, name })),
      )
      return { number: Number.parseInt(section, 10), text, said, guards }
    })
}

/** Titles of the tests and groups in a file, as they are written there. */
function titlesOf(source: string): string[] {
  return [
    ...source.matchAll(/\b(?:test|describe)(?:\.\w+\([^\n]*\))?\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g),
  ].map(([, , title = '']) => title.replace(/\\(.)/g, '$1'))
}

function optionOf(name: string) {
  const option = Object.values(OPTIONS).find(({ env }) => env === name)
  if (!option) throw new Error(`there is no setting ${name}`)
  return option
}

function quoted(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word)
}
