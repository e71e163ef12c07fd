/** The log is written for whoever reads it, and waits for nobody: not for who is slow, has stopped or has left. */
import { expect, test } from 'bun:test'
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createIsoTime } from '../../src/lib/clock.ts'
import { createLineWriter } from '../../src/lib/line-writer.ts'
import { temporaryDirectory } from '../support/server.ts'

const BYTES_MAX = 256 * 1024
const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants

/** A pipe with a name, held open at both ends. `flags` are those of the end that is written to. */
function openPipe(flags: number) {
  const path = join(temporaryDirectory(), 'pipe')
  Bun.spawnSync(['mkfifo', path])
  const reader = openSync(path, O_RDONLY | O_NONBLOCK)
  const writer = openSync(path, flags)
  const decoder = new TextDecoder()
  const buffer = Buffer.alloc(1024 * 1024)

  /** All that the pipe holds at this moment. */
  function read(): string {
    let text = ''
    for (;;) {
      try {
        const length = readSync(reader, buffer)
        if (length === 0) return text
        text += decoder.decode(buffer.subarray(0, length), { stream: true })
      } catch {
        return text
      }
    }
  }

  async function readUntil(isAll: (text: string) => boolean): Promise<string> {
    const giveUpMs = performance.now() + 4_000
    let text = ''
    while (!isAll(text) && performance.now() < giveUpMs) {
      text += read()
      await Bun.sleep(1)
    }
    return text
  }

  return { fd: writer, read, readUntil, closeReader: () => closeSync(reader) }
}

const line = (n: number) => `${String(n).padStart(8, '0')} ${'é'.repeat(100)}\n`
const LINE_BYTES = Buffer.byteLength(line(0))

test('lines arrive whole, in order, and by themselves', async () => {
  const { fd, readUntil, closeReader } = openPipe(O_WRONLY)
  const writer = createLineWriter(fd, BYTES_MAX)
  const expected = Array.from({ length: 1000 }, (_, n) => line(n)).join('')
  for (let n = 0; n < 1000; n++) {
    writer.add(line(n), LINE_BYTES)
    if (n % 100 === 0) writer.send()
  }
  expect(await readUntil(({ length }) => length >= expected.length)).toBe(expected)
  closeSync(fd)
  closeReader()
})

for (const [kind, flags] of [
  ['blocks', O_WRONLY],
  ['does not block', O_WRONLY | O_NONBLOCK],
] as const)
  test(`while nobody reads a pipe that ${kind}, lines wait up to the bound, and are dropped beyond`, async () => {
    const { fd, read, readUntil, closeReader } = openPipe(flags)
    const writer = createLineWriter(fd, BYTES_MAX)
    const fits = Math.floor(BYTES_MAX / LINE_BYTES)
    for (let n = 0; n < fits + 500; n++) {
      writer.add(line(n), LINE_BYTES)
      if (n % 50 === 0) writer.send()
    }
    // Everything that happens here happens although nobody reads.
    await Bun.sleep(50)
    const kept = Array.from({ length: fits }, (_, n) => line(n)).join('')
    expect(await readUntil(({ length }) => length >= kept.length)).toBe(kept)
    // There is room again.
    await writer.flush()
    writer.add(line(7), LINE_BYTES)
    await writer.flush()
    expect(read()).toBe(line(7))
    closeSync(fd)
    closeReader()
  })

test('when whoever reads has left, nothing fails and nobody waits', async () => {
  const { fd, closeReader } = openPipe(O_WRONLY)
  const writer = createLineWriter(fd, BYTES_MAX)
  writer.add(line(0), LINE_BYTES)
  await writer.flush()
  closeReader()
  for (let n = 0; n < 10; n++) {
    writer.add(line(n), LINE_BYTES)
    await writer.flush()
  }
  writer.sendSync()
  closeSync(fd)
})

test('a process that ends writes what it has logged, and does not wait behind a reader that does not read', async () => {
  const { fd, read, readUntil, closeReader } = openPipe(O_RDWR)
  const writer = createLineWriter(fd, BYTES_MAX)
  writer.add(line(0), LINE_BYTES)
  writer.sendSync()
  expect(read()).toBe(line(0))
  // A full pipe, and a write that waits for room in it.
  const other = 'x'.repeat(4096)
  for (let n = 0; n < 16; n++) writeSync(fd, other)
  writer.add(line(1), LINE_BYTES)
  writer.send()
  writer.add(line(2), LINE_BYTES)
  writer.sendSync()
  const text = await readUntil((text) => text.endsWith('\n'))
  expect(text).toBe(other.repeat(16) + line(1))
  await writer.flush()
  expect(read()).toBe(line(2))
  closeSync(fd)
  closeReader()
})

test('the time of a line is what the runtime writes', () => {
  const isoTime = createIsoTime()
  const start = Date.UTC(2026, 11, 31, 23, 59, 58, 990)
  for (const step of [0, 5, 9, 10, 11, 109, 110, 1_009, 1_010, 2_500, -5_000, 1e12])
    expect(isoTime(start + step)).toBe(new Date(start + step).toISOString())
})
