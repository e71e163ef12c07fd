/** Runs one row of the table on raw sockets: the same bytes to the upstream itself, and through the proxy. */
import type { Socket } from 'node:net'
import { openClient, startListener } from '../wire.ts'
import type { Case } from './case.ts'
import { type Message, readAnswers, readRequests } from './message.ts'

/** What one way has done with a row: the bytes as they came, and the messages in them. */
export type Recorded = {
  readonly requests: readonly Message[]
  readonly answers: readonly Message[]
  /** What reached the upstream and the client, whether or not it can be read. */
  readonly upstreamBytes: Buffer
  readonly clientBytes: Buffer
}

export type Placeholders = { readonly base: string; readonly key: string }

/** A row that takes longer has failed: there is nothing in it that waits for a clock. */
const WAIT_MS_MAX = 30_000

export type RowUpstream = {
  readonly url: string
  record(url: string, placeholders: Placeholders): Promise<Recorded>
}

/** The upstream of one row, which no other row calls. */
export async function startRow(row: Case): Promise<RowUpstream> {
  let way = new Way(row, { base: '', key: '' })
  const { url } = await startListener((socket) => way.serve(socket))
  return {
    url,
    record(target, placeholders) {
      way = new Way(row, placeholders)
      return way.run(target)
    },
  }
}

/** One connection to the upstream: what came by it, and whether more can. */
type Side = { bytes: Buffer; ended: boolean }

/** Whoever waits for something looks again whenever something has happened. */
class Way {
  private readonly row: Case
  private readonly placeholders: Placeholders
  private readonly sides: Side[] = []
  private clientBytes = Buffer.alloc(0)
  private ended = false
  private wake = () => {}
  private news = new Promise<void>((resolve) => {
    this.wake = resolve
  })

  constructor(row: Case, placeholders: Placeholders) {
    this.row = row
    this.placeholders = placeholders
  }

  serve(socket: Socket): void {
    const side: Side = { bytes: Buffer.alloc(0), ended: false }
    this.sides.push(side)
    let due = 0
    let answers = Promise.resolve()
    // Whoever has nothing more to send may still want to read.
    socket.allowHalfOpen = true
    socket.on('data', (data: Buffer) => {
      side.bytes = Buffer.concat([side.bytes, data])
      this.tell()
      const requests = readRequests(side.bytes)
      const now = requests.filter(({ whole }) => whole || this.row.answer.on === 'head').length
      for (; due < now; due++) answers = answers.then(() => this.answer(socket, side))
    })
    socket.on('close', () => {
      side.ended = true
      this.tell()
    })
    socket.on('end', () => {
      side.ended = true
      this.tell()
      void answers.then(() => socket.end())
    })
  }

  async run(url: string): Promise<Recorded> {
    const { row } = this
    const client = await openClient(url)
    client.socket.setNoDelay(true)
    client.socket.on('data', (data: Buffer) => {
      this.clientBytes = Buffer.concat([this.clientBytes, data])
      this.tell()
    })
    const closed = new Promise<void>((resolve) => client.socket.once('close', () => resolve()))
    void closed.then(() => {
      this.ended = true
      this.tell()
    })
    for (const step of row.client) {
      if (step === 'END') client.socket.end()
      else if (step === 'AWAIT_UPSTREAM')
        await this.until(() => readRequests(this.upstreamBytes()).length > 0)
      else if (step === 'AWAIT_ANSWER') await this.until(() => this.clientBytes.length > 0)
      else client.write(this.bytesOf(step))
    }
    await this.until(() => this.ended || this.isAnswered())
    // Whatever else may come comes before the end.
    client.socket.end()
    await closed
    const upstreamBytes = this.upstreamBytes()
    const { clientBytes } = this
    return {
      requests: this.sides.flatMap(({ bytes }) => readRequests(bytes)),
      answers: readAnswers(clientBytes, row.methods),
      upstreamBytes,
      clientBytes,
    }
  }

  private async answer(socket: Socket, side: Side): Promise<void> {
    const { parts, then } = this.row.answer
    const whole = () => readRequests(side.bytes).find((request) => request.whole)
    for (const part of parts) {
      if (part === 'AWAIT_CLIENT') await this.until(() => this.hasBody())
      else if (part === 'AWAIT_WHOLE') await this.until(() => whole() !== undefined)
      else if (part === 'AWAIT_MORE')
        await this.until(() => side.ended || side.bytes.length > (whole()?.length ?? 0))
      else socket.write(this.bytesOf(part))
    }
    if (then === 'end') socket.end()
    if (then === 'reset') socket.resetAndDestroy()
  }

  /** An answer that ends with its connection is whole only when that has ended. */
  private isAnswered(): boolean {
    const { methods } = this.row
    const finals = readAnswers(this.clientBytes, methods).filter(
      ({ whole, first }) => whole && !/^HTTP\/1\.\d 1/.test(first),
    )
    const last = finals.at(-1)
    return finals.length >= methods.length && (last?.endsWithConnection ?? false) === false
  }

  /** Bun may send a head in two pieces. */
  private hasBody(): boolean {
    return readAnswers(this.clientBytes, this.row.methods).some(({ body }) => body.length > 0)
  }

  private upstreamBytes(): Buffer {
    return Buffer.concat(this.sides.map(({ bytes }) => bytes))
  }

  private bytesOf(text: string): Buffer {
    const { base, key } = this.placeholders
    return Buffer.from(text.replaceAll('{base}', base).replaceAll('{key}', key), 'latin1')
  }

  private tell(): void {
    this.wake()
    this.news = new Promise((resolve) => {
      this.wake = resolve
    })
  }

  private async until(condition: () => boolean): Promise<void> {
    const late = Bun.sleep(WAIT_MS_MAX).then(() => true as const)
    while (!condition() && !this.ended) {
      if (await Promise.race([this.news, late]))
        throw new Error(`${this.row.group}, ${this.row.name}: nothing more has come`)
    }
  }
}
