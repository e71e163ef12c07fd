/** Holds the Chinese pages for operators to the English ones: the same commands in the same order, the same rows. */
import { describe, expect, test } from 'bun:test'
import { ERRORS } from '../../src/errors.ts'
import { readDocument } from '../support/markdown.ts'

for (const page of ['operations.md', 'failure-modes.md']) {
  const [english, chinese] = await Promise.all([
    readDocument(`docs/${page}`),
    readDocument(`docs/zh/${page}`),
  ])

  describe(`docs/zh/${page}`, () => {
    test('has the same commands and outputs as the English page, and marks the same to be run', () => {
      expect(blocksOf(english).length).toBeGreaterThan(15)
      expect(blocksOf(chinese)).toEqual(blocksOf(english))
    })

    test('has the same sections and as many rows in its tables', () => {
      const shape = (text: string) => text.match(/^(?:#+(?= )|\|)/gm)
      expect(shape(chinese)).toEqual(shape(english))
    })

    test('names the same settings, commands and codes', () => {
      expect(namesIn(chinese)).toEqual(namesIn(english))
    })
  })
}

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

/** What stands in backticks and is not prose: words that only the program gives a meaning. */
function namesIn(text: string): string[] {
  const prose = text.replace(/^```.*?^```$/gms, '')
  const names = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, name = '']) => name)
  return [...new Set(names.filter((name) => /^[\w-]+(?: [a-z]+)*$/.test(name)))].sort()
}
