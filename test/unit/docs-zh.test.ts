/** Holds the Chinese pages to the English ones: the same commands, names, codes and documents. */
import { describe, expect, test } from 'bun:test'
import { OPTIONS } from '../../src/config/options.ts'
import { ERRORS } from '../../src/errors.ts'
import { DOCUMENTS, destination, localLinks, readDocument } from '../support/markdown.ts'

/** With how many blocks of commands and outputs each has at least: far fewer would mean that most were not found. */
const PAGES = [
  ['docs/operations.md', 'docs/zh/operations.md', 16],
  ['docs/failure-modes.md', 'docs/zh/failure-modes.md', 16],
  ['docs/recipes.md', 'docs/recipes.zh-CN.md', 16],
  ['docs/scaling.md', 'docs/zh/scaling.md', 8],
] as const

const chinesePages = await Promise.all(
  DOCUMENTS.filter((path) => /zh-CN\.md$|^docs\/zh\//.test(path)).map(
    async (path) => [path, await readDocument(path)] as const,
  ),
)

for (const [page, twin, blocksMin] of PAGES) {
  const [english, chinese] = await Promise.all([readDocument(page), readDocument(twin)])

  describe(twin, () => {
    test('has the same commands and outputs as the English page, and marks the same to be run', () => {
      expect(blocksOf(english).length).toBeGreaterThanOrEqual(blocksMin)
      expect(blocksOf(chinese)).toEqual(blocksOf(english))
    })

    test('has the same sections and as many rows in its tables', () => {
      expect(shapeOf(chinese)).toEqual(shapeOf(english))
    })

    test('names the same settings, commands and codes', () => {
      expect(namesIn(chinese)).toEqual(namesIn(english))
    })
  })
}

describe('README.zh-CN.md', async () => {
  const [english, chinese] = await Promise.all([
    readDocument('README.md'),
    readDocument('README.zh-CN.md'),
  ])

  test('has the same headings, and tables of as many rows, as README.md', () => {
    expect(shapeOf(english).length).toBeGreaterThan(25)
    expect(shapeOf(chinese)).toEqual(shapeOf(english))
  })

  test('has the same commands and examples as README.md, in the same order', () => {
    expect(blocksOf(english).length).toBeGreaterThan(12)
    expect(blocksOf(chinese)).toEqual(blocksOf(english))
  })

  test('names the same settings, commands, options and error codes as README.md', () => {
    expect(namesIn(chinese)).toEqual(namesIn(english))
    expect(settingsIn(english).length).toBeGreaterThan(10)
    expect(settingsIn(chinese)).toEqual(settingsIn(english))
    expect(codesIn(english).length).toBeGreaterThan(2)
    expect(codesIn(chinese)).toEqual(codesIn(english))
  })

  test('leads to the same documents as README.md, in Chinese where there is one', () => {
    const documents = (path: string, text: string) =>
      localLinks(path, text)
        .map((link) =>
          destination(link).path.replace('docs/zh/', 'docs/').replace('.zh-CN.md', '.md'),
        )
        .filter((target) => !/^README|^docs\/README/.test(target))
    expect(setOf(documents('README.zh-CN.md', chinese))).toEqual(
      setOf(documents('README.md', english)),
    )
  })
})

test('no line ends between two Chinese characters, where a browser would show a blank', () => {
  expect(chinesePages.length).toBeGreaterThan(4)
  for (const [path, text] of chinesePages) {
    const prose = text.replace(/^```.*?^```$/gms, '')
    expect([path, prose.match(/\p{sc=Han}\n *\p{sc=Han}+/gu)]).toEqual([path, null])
  }
})

test('the failure modes have every error code once, in the row that says what to check', async () => {
  for (const path of ['docs/failure-modes.md', 'docs/zh/failure-modes.md']) {
    const [, table = ''] = (await readDocument(path)).split(/^## (?:By error code|按错误码)$/m)
    const rows = [...table.matchAll(/^\| ((?:`\w+`[,、 ]*)+) \|/gm)]
    const codes = rows.flatMap(([, names = '']) => names.match(/\w+/g) ?? [])
    expect(codes.sort()).toEqual(Object.keys(ERRORS).sort())
  }
})

function blocksOf(text: string): string[] {
  return text.match(/(?:^<!-- session -->\n\n)?^```.*?^```$/gms) ?? []
}

/** The level of each heading, and the rows of tables. */
function shapeOf(text: string): string[] {
  return text.replace(/^```.*?^```$/gms, '').match(/^(?:#+(?= )|\|)/gm) ?? []
}

function setOf(words: readonly string[] | null): string[] {
  return [...new Set(words)].sort()
}

/** Settings named anywhere, commands and tables included. */
function settingsIn(text: string): string[] {
  const known = new Set(Object.values(OPTIONS).map(({ env }) => env as string))
  return setOf(text.match(/\b[A-Z][A-Z_]+\b/g)).filter((word) => known.has(word))
}

function codesIn(text: string): string[] {
  return setOf(text.match(/\b[a-z]+(?:_[a-z]+)+\b/g)).filter((word) => word in ERRORS)
}

/** What stands in backticks and is not prose: words that only the program gives a meaning. */
function namesIn(text: string): string[] {
  const prose = text.replace(/^```.*?^```$/gms, '')
  const names = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, name = '']) => name)
  return [...new Set(names.filter((name) => /^[\w-]+(?: [a-z]+)*$/.test(name)))].sort()
}
