/** What the log of calls keeps in memory: whoever has a key may write any model, and as long as a body may be. */

import { heapStats } from 'bun:jsc'
import { expect, test } from 'bun:test'
import { logCall } from '../../src/http/access-log.ts'
import { type CallReport, refusedEnd } from '../../src/proxy/call.ts'

test('a model that is too long for the log is not kept', () => {
  const lines: string[] = []
  const log = { isReadable: false, written: (line: string) => lines.push(line) }
  const write = logCall(log as unknown as Parameters<typeof logCall>[0])
  const call = {
    requestId: 'r',
    ip: '::1',
    method: 'POST',
    path: '/',
    keyId: null,
    keyName: null,
    upstream: '',
  }
  const size = () => {
    Bun.gc(true)
    const { heapSize, extraMemorySize } = heapStats()
    return heapSize + extraMemorySize
  }
  const before = size()
  for (let n = 0; n < 200; n++) {
    const model = Buffer.alloc(500_000, `${n} `).toString()
    write({ ...call, ...refusedEnd('model_not_allowed', 403, 1, model) } satisfies CallReport)
  }
  expect(size() - before).toBeLessThan(30_000_000)
  expect(lines).toHaveLength(200)
  expect(lines[7]).toContain(`"model":"${'7 '.repeat(40)}\\u2026"`)
  for (const model of ['m', 'm']) {
    write({ ...call, ...refusedEnd('model_not_allowed', 403, 1, model) } satisfies CallReport)
    expect(lines.at(-1)).toContain('"model":"m"')
  }
})
