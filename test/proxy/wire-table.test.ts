/**
 * A table of requests and answers on raw sockets, direct and through the proxy: every byte that differs has one reason of a
 * closed list, and docs/wire.md says what was seen. `WIRE_TABLE=write` writes that page instead of comparing it.
 */
import { beforeAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { usedOf } from '../support/books.ts'
import { ROOT } from '../support/markdown.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { ANSWERS } from '../support/wire-table/answers.ts'
import { REQUEST_BODIES } from '../support/wire-table/bodies.ts'
import type { Case } from '../support/wire-table/case.ts'
import { type Difference, differencesOf } from '../support/wire-table/differences.ts'
import { renderDocument } from '../support/wire-table/document.ts'
import { statusOf } from '../support/wire-table/message.ts'
import { REASONS } from '../support/wire-table/reasons.ts'
import { REQUEST_HEADS } from '../support/wire-table/requests.ts'
import { type Recorded, startRow } from '../support/wire-table/run.ts'

const ROWS = [...REQUEST_HEADS, ...REQUEST_BODIES, ...ANSWERS]
const PAGE = join(ROOT, 'docs/wire.md')

type Done = {
  readonly row: Case
  readonly proxied: Recorded
  readonly differences: readonly Difference[]
  readonly charged: number
}

let done: readonly Done[]

beforeAll(async () => {
  const server = await startServer()
  const ended = await Promise.all(
    ROWS.map(async (row, i) => {
      const upstream = await startRow(row)
      // The same path here and there, so that the very same bytes may be sent.
      const base = `/t${i}`
      const { key, id } = await issueKey(server, { quota: 100 })
      const fields = { name: `t${i}`, mount: base, base_url: upstream.url + base }
      await addUpstream(server, { ...fields, meter: { kind: 'none' } })
      const direct = await upstream.record(upstream.url, { base, key })
      const proxied = await upstream.record(server.url, { base, key })
      const hide = (text: string) =>
        withoutChance(text.replaceAll(base, '').replaceAll(key, '{key}'))
      return { row, id, proxied, differences: differencesOf(direct, proxied, hide) }
    }),
  )
  // One after the other: an operator may not ask so much at once.
  const all: Done[] = []
  for (const { id, ...one } of ended) all.push({ ...one, charged: await usedOf(server, id) })
  done = all
}, 60_000)

/** Without what differs with each run. */
function withoutChance(text: string): string {
  return text
    .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:…')
    .replace(/\b(req|call)_\w+/g, '$1_…')
    .replace(/^date: (?!Mon, 01 Jan 2024).*$/gm, 'date: …')
}

const reasonsOf = (difference: Difference, row: Case) =>
  REASONS.filter(({ explains }) => explains(difference, row))

const isUnanswered = ({ differences }: Done) =>
  differences.some(({ what }) => what === 'refused' || what === 'no answer')

test('every byte that differs has one reason', () => {
  const wrong = done.flatMap(({ row, differences }) =>
    differences.flatMap((difference) => {
      const names = reasonsOf(difference, row).map(({ name }) => name)
      return names.length === 1 ? [] : [{ row: `${row.group}: ${row.name}`, ...difference, names }]
    }),
  )
  expect(wrong).toEqual([])
})

test('every reason is the reason of something', () => {
  const used = new Set(
    done.flatMap(({ row, differences }) => differences.flatMap((one) => reasonsOf(one, row))),
  )
  expect(REASONS.filter((reason) => !used.has(reason)).map(({ name }) => name)).toEqual([])
  expect(new Set(REASONS.map(({ name }) => name)).size).toBe(REASONS.length)
})

test('nobody pays for a call that is refused or gets no answer, but for a client that leaves', () => {
  const paid = done.filter((one) => isUnanswered(one) && one.charged > answersOf(one))
  expect(paid.map(({ row }) => row.name)).toEqual(
    ROWS.filter(({ paidUnanswered }) => paidUnanswered).map(({ name }) => name),
  )
})

test('what costs nothing because of its client has not reached the upstream whole', () => {
  const free = done.filter((one) => one.charged === 0 && isRefusedHere(one))
  expect(free.length).toBeGreaterThan(50)
  const whole = free.filter(({ proxied }) => proxied.requests.some((request) => request.whole))
  expect(whole.map(({ row }) => row.name)).toEqual([])
})

test('docs/wire.md says what has been seen', async () => {
  const rows = done.map(({ row, differences, charged, proxied }) => ({
    ...{ row, charged, isSent: proxied.upstreamBytes.length > 0 },
    differences: differences.flatMap((one) =>
      reasonsOf(one, row).map((reason) => ({ ...one, reason })),
    ),
  }))
  const page = renderDocument(rows)
  if (process.env['WIRE_TABLE'] === 'write') await Bun.write(PAGE, page)
  const written = (await Bun.file(PAGE).text()).split('\n')
  const seen = page.split('\n')
  const missing = (lines: string[], others: string[]) =>
    lines.filter((line) => !others.includes(line))
  expect(missing(seen, written)).toEqual(missing(written, seen))
  expect(seen).toEqual(written)
})

/** For what the client has done, and not for what the upstream has answered. */
const isRefusedHere = ({ differences }: Done) =>
  differences.some(
    ({ what, proxied }) => what === 'no answer' || (what === 'refused' && !proxied.startsWith('5')),
  )

/** Answers of the upstream that the client has been given, before it was refused. */
function answersOf({ proxied }: Done): number {
  return proxied.answers.filter((one) => statusOf(one) >= 200 && statusOf(one) < 400).length
}
