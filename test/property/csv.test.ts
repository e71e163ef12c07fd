/** What is written as CSV is read again as it was, whatever stands in the cells. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { csvRow, parseCsv } from '../../src/lib/text/csv.ts'

const cell = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('"', ',', '\r', '\n', ' ', 'a', ';') }),
)
/** A row of one empty cell is an empty line, which is no row. */
const row = fc.array(cell, { minLength: 1, maxLength: 5 }).filter((cells) => cells.join('') !== '')

const end = fc.constantFrom('\n', '\r\n')

test('rows are read as they were written, each with the line that it begins at', () => {
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), end, (rows, end) => {
      // A mark of the byte order at the very beginning belongs to the file and not to its text.
      fc.pre(!rows[0]?.[0]?.startsWith('\ufeff'))
      const texts = rows.map((cells) => csvRow(cells) + end)
      const read = parseCsv(texts.join(''))
      expect(read?.map(({ cells }) => cells)).toEqual(rows)
      const lines = texts.map((_, i) => texts.slice(0, i).join('').split('\n').length)
      expect(read?.map(({ line }) => line)).toEqual(lines)
    }),
  )
})

test('a row of numbers and nothing is read as text', () => {
  expect(parseCsv(csvRow([1, null, 'x']))).toEqual([{ line: 1, cells: ['1', '', 'x'] }])
})

test('ends of lines of every system, a missing one at the end, and empty lines are taken', () => {
  const cells = (text: string) => parseCsv(text)?.map((one) => one.cells.join('|'))
  expect(cells('\ufeffa,b\nc,d')).toEqual(['a|b', 'c|d'])
  expect(cells('a,b\r\n\r\nc,d\r\n')).toEqual(['a|b', 'c|d'])
  expect(cells('a,\n,b')).toEqual(['a|', '|b'])
  expect(cells('')).toEqual([])
})

test('a quote that is not closed, or stands within a plain cell, is no CSV', () => {
  for (const text of ['"a', 'a"b', '"a"b', 'a,"b\nc']) expect(parseCsv(text)).toBeNull()
})
