/** What is left out and what goes on below, where a terminal is too narrow for a table. */
import { describe, expect, test } from 'bun:test'
import { leftOutNote, renderFindings, renderMembers, wrapped } from '../../src/cli/output/lines.ts'
import { type Column, layTable, terminalWidth } from '../../src/cli/output/table.ts'

type Row = Readonly<Record<string, string | number | null>>

const column = (head: string, more: Partial<Column<Row>> = {}): Column<Row> => ({
  head,
  of: (row) => row[head] ?? null,
  ...more,
})

async function laid(columns: readonly Column<Row>[], row: Row, width: number | undefined) {
  const { text, leftOut } = await layTable(columns, [row], width)
  const lines = text.trimEnd().split('\n')
  return { head: lines[0]?.split(/ {2,}/) ?? [], lines, leftOut }
}

describe('a table', () => {
  test('in a pipe has every column, as wide as it is', async () => {
    const columns = [column('A', { drops: 1 }), column('B', { wraps: true }), column('C')]
    const { head, leftOut } = await laid(columns, { A: 'a', B: 'b'.repeat(300) }, undefined)
    expect({ head, leftOut }).toEqual({ head: ['A', 'B', 'C'], leftOut: [] })
  })

  test('leaves out what is worth least, says so, and goes on no further than it must', async () => {
    const columns = [column('A'), column('B', { drops: 1 }), column('C', { drops: 2 })]
    const row = { A: 'a'.repeat(10), B: 'b'.repeat(10), C: 'c'.repeat(10) }
    expect(await laid(columns, row, 34)).toMatchObject({ head: ['A', 'B', 'C'], leftOut: [] })
    expect(await laid(columns, row, 33)).toMatchObject({ head: ['A', 'B'], leftOut: ['C'] })
    expect(await laid(columns, row, 21)).toMatchObject({ head: ['A'], leftOut: ['B', 'C'] })
  })

  test('loses columns in which nothing stands first, without a word, and keeps them where there is room', async () => {
    const columns = [
      column('A', { drops: 1 }),
      column('B'),
      column('C'),
      column('D', { blank: (row) => row['D'] === 0 }),
    ]
    const row = { A: 'a'.repeat(20), B: null, C: '', D: 0 }
    expect(await laid(columns, row, 40)).toMatchObject({ head: ['A', 'B', 'C', 'D'], leftOut: [] })
    expect(await laid(columns, row, 24)).toMatchObject({ head: ['A'], leftOut: [] })
    expect(await laid(columns, { ...row, D: 1 }, 24)).toMatchObject({ head: ['A', 'D'] })
  })

  test('leaves out others before a column is narrower than it can be read well in', async () => {
    const columns = [column('A', { wraps: 20 }), column('B', { drops: 1 })]
    const row = { A: 'word '.repeat(8).trim(), B: 'b'.repeat(10) }
    expect((await laid(columns, row, 32)).lines).toHaveLength(3)
    expect(await laid(columns, row, 32)).toMatchObject({ head: ['A', 'B'] })
    expect(await laid(columns, row, 31)).toMatchObject({ head: ['A'], leftOut: ['B'] })
  })

  test('breaks no URL while there is something else to leave out', async () => {
    const url = `https://api.example/${'x'.repeat(40)}`
    const columns = [
      column('NAME'),
      column('URL', { wraps: Number.POSITIVE_INFINITY }),
      column('B', { drops: 2 }),
      column('C', { drops: 1 }),
    ]
    const row = { NAME: 'n', URL: url, B: 'b'.repeat(12), C: 'c'.repeat(8) }
    const { lines, leftOut } = await laid(columns, row, 80)
    expect(lines[1]).toContain(url)
    expect(leftOut).toEqual(['B'])
    expect((await laid(columns, row, 40)).lines.length).toBeGreaterThan(2)
  })

  test('wraps before it leaves out what is worth most, and then leaves that out, too', async () => {
    const columns = [column('A', { wraps: 19 }), column('B', { dropsLast: 1 })]
    const row = { A: '2026-11-28 14:50:37', B: 'b'.repeat(10) }
    expect(await laid(columns, row, 31)).toMatchObject({ lines: { length: 2 }, leftOut: [] })
    expect(await laid(columns, row, 24)).toMatchObject({ lines: { length: 3 }, leftOut: [] })
    expect(await laid(columns, row, 23)).toMatchObject({ head: ['A'], leftOut: ['B'] })
  })
})

describe('lines', () => {
  test('under a table are as wide as the terminal at most', () => {
    const note = leftOutNote(['EXPIRES (UTC)', 'LAST USED (UTC)'], 40)
    expect(note.split('\n').every((line) => line.length <= 40)).toBeTrue()
    expect(note.replaceAll('\n', ' ').trim()).toBe(
      'Left out for want of room: EXPIRES (UTC), LAST USED (UTC). --json has everything.',
    )
    expect(leftOutNote([], 40)).toBe('')
    expect(wrapped('one two three', undefined)).toBe('one two three')
    expect(wrapped('one two three', 11, 4)).toBe('one two\n    three')
  })

  test('of findings and members go on below what they say', () => {
    const findings = [{ check: 'books', ok: true, detail: 'every counter is its entries' }]
    expect(renderFindings(findings, 30)).toBe(
      'ok    books  every counter is\n             its entries\n',
    )
    const members = [
      ['name', 'Ada'],
      ['prices', ['a: 1.00', 'b: 2.00']],
      ['tags', []],
    ] as const
    expect(renderMembers(members, 80)).toBe(
      'name    Ada\nprices  a: 1.00\n        b: 2.00\ntags    -\n',
    )
  })
})

test('COLUMNS is the width if it is a positive number, in a pipe as well', () => {
  expect(terminalWidth({ env: { COLUMNS: '60' } })).toBe(60)
  const without = terminalWidth({ env: {} })
  for (const COLUMNS of ['', '0', '-5', 'wide', '80x', '1e2'])
    expect(terminalWidth({ env: { COLUMNS } })).toBe(without)
})
