/**
 * Connect's reference client and reference server, so that what they say to each other goes through a server of ours. The
 * conformance runner starts this as the peer that it tests, and speaks to it in length-prefixed messages of protobuf
 * (connectrpc.conformance.v1). In those, only where the other side listens is changed: fields of a later message win over
 * those before (protobuf's rule for merging), so that they need only be added.
 *
 *     connect-peers.ts client <port>
 *     connect-peers.ts server
 */
import type { FileSink, Subprocess } from 'bun'
import { startKeyHop } from './key-hop.ts'

const LENGTH_DELIMITED = 2

/** Sends every call to `port`, whatever the runner says. */
async function runClient(port: number): Promise<void> {
  const child = Bun.spawn(['referenceclient'], { stdio: ['pipe', 'inherit', 'inherit'] })
  endTogether(child)
  // ClientCompatRequest: host = 6, port = 7.
  const address = [...text(6, '127.0.0.1'), ...number(7, port)]
  for await (const message of messages(Bun.stdin.stream()))
    send(child.stdin, [...message, ...address])
  await child.stdin.end()
  process.exit(await child.exited)
}

/** Starts a server, makes it an upstream, and says that it listens where calls to that one begin. */
async function runServer(): Promise<void> {
  const child = Bun.spawn(['referenceserver'], { stdio: ['inherit', 'pipe', 'inherit'] })
  endTogether(child)
  for await (const message of messages(child.stdout)) {
    const name = `peer-${process.pid}`
    // ServerCompatResponse: host = 1, port = 2.
    await addUpstream(name, `http://127.0.0.1:${numberIn(message, 2)}`)
    const hop = await startKeyHop(environment('PROXY_URL'), environment('PROXY_KEY'), `/u/${name}`)
    send(Bun.stdout.writer(), [...message, ...text(1, '127.0.0.1'), ...number(2, hop.port)])
  }
  process.exit(await child.exited)
}

function endTogether(child: Subprocess): void {
  process.on('SIGTERM', () => child.kill())
  process.on('exit', () => child.kill())
}

async function addUpstream(name: string, base_url: string): Promise<void> {
  const response = await fetch(`${environment('PROXY_URL')}/admin/upstreams`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${environment('PROXY_ADMIN_TOKEN')}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ name, base_url, meter: { kind: 'none' } }),
  })
  if (response.status !== 201) throw new Error(`no upstream was made: ${await response.text()}`)
}

async function* messages(stream: ReadableStream<Uint8Array>): AsyncGenerator<Buffer> {
  let held = Buffer.alloc(0)
  for await (const piece of stream) {
    held = Buffer.concat([held, piece])
    while (held.length >= 4 && held.length >= 4 + held.readUInt32BE()) {
      const end = 4 + held.readUInt32BE()
      yield held.subarray(4, end)
      held = held.subarray(end)
    }
  }
}

function send(to: FileSink, message: readonly number[]): void {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(message.length)
  to.write(Buffer.concat([length, Buffer.from(message)]))
  to.flush()
}

function text(field: number, value: string): number[] {
  return [
    ...varint((field << 3) | LENGTH_DELIMITED),
    ...varint(value.length),
    ...Buffer.from(value),
  ]
}

function number(field: number, value: number): number[] {
  return [...varint(field << 3), ...varint(value)]
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]
}

/** The value of a field of a message that has only numbers and texts. */
function numberIn(message: Buffer, field: number): number {
  let at = 0
  const next = (): number => {
    const byte = message[at++] ?? 0
    return byte < 128 ? byte : (byte & 127) + 128 * next()
  }
  while (at < message.length) {
    const tag = next()
    const value = next()
    if (tag >>> 3 === field) return value
    if ((tag & 7) === LENGTH_DELIMITED) at += value
  }
  throw new Error(`the message has no field ${field}`)
}

function environment(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set; test/conformance/connect.test.ts sets it`)
  return value
}

const [kind, port] = process.argv.slice(2)
if (kind === 'client') await runClient(Number(port))
else await runServer()
