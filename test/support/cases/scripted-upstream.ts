/** An upstream that answers what is asked below `/<name>/…` as the script of that name says, and remembers what reached it. */
import type { Socket } from 'node:net'
import { type RawRequest, startRawUpstream } from '../wire.ts'
import { type Answer, type Script, stepsOf } from './form.ts'

const MISSING: Answer = {
  status: 404,
  headers: { 'content-type': 'application/json' },
  chunks: ['{"error":{"message":"no such path"}}'],
}
const PAUSE_MS = 20
/** What was sent before a reset has to be read before it: a reset takes the rest away. */
const BREAK_AFTER_MS = 100
/** Longer than any case waits for. */
const HANG_MS = 60_000

export type ScriptedUpstream = {
  readonly url: string
  readonly host: string
  script(name: string, script: Script): void
  seen(name: string): readonly RawRequest[]
}

export async function startScriptedUpstream(): Promise<ScriptedUpstream> {
  const scripts = new Map<string, Script>()
  const nameIn = ({ target }: RawRequest) => target.split(/[/?]/)[1] ?? ''
  const { url, host, seen } = await startRawUpstream((socket, request) => {
    const script = scripts.get(nameIn(request))
    void answer(socket, request, chosen(script, request))
  })
  return {
    url,
    host,
    script: (name, script) => scripts.set(name, script),
    seen: (name) => seen.filter((request) => nameIn(request) === name),
  }
}

function chosen(script: Script | undefined, { headers, body }: RawRequest): Answer {
  if (!script) return MISSING
  if (!Array.isArray(script)) return script as Answer
  const text = Buffer.from(body, 'latin1').toString()
  const fitting = script.find(({ if: condition }) => {
    if (!condition) return true
    const { bodyHas, headerHas } = condition
    if (bodyHas !== undefined && text.includes(bodyHas)) return true
    return headers.some(([name]) => name === headerHas)
  })
  return fitting?.then ?? MISSING
}

async function answer(socket: Socket, { method }: RawRequest, script: Answer): Promise<void> {
  await Bun.sleep(script.delayMs ?? 0)
  const steps = stepsOf(script)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(script.headers ?? {}))
    headers[name.toLowerCase()] = value
  const bytes = steps.reduce((sum, step) => sum + (Buffer.isBuffer(step) ? step.length : 0), 0)
  if (script.length) headers['content-length'] = String(bytes)
  const isFixed = 'content-length' in headers
  if (!isFixed) headers['transfer-encoding'] = 'chunked'
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`HTTP/1.1 ${script.status ?? 200} X\r\n${lines.join('')}\r\n`)
  if (method === 'HEAD') return
  for (const step of steps) {
    if (!Buffer.isBuffer(step)) {
      if ('sleepMs' in step) await Bun.sleep(step.sleepMs)
      else return end(socket, step)
    } else if (step.length > 0) {
      const framed = [Buffer.from(`${step.length.toString(16)}\r\n`), step, Buffer.from('\r\n')]
      socket.write(isFixed ? step : Buffer.concat(framed))
      await Bun.sleep(script.pauseMs ?? PAUSE_MS)
    }
  }
  if (!isFixed) socket.write('0\r\n\r\n')
  if (headers['connection'] === 'close') socket.end()
}

/** Breaks off, or says nothing more until the other side goes. */
async function end(socket: Socket, step: { hang: true } | { break: true }): Promise<void> {
  const gone = new Promise((resolve) => socket.once('close', resolve))
  await ('hang' in step ? Promise.race([gone, Bun.sleep(HANG_MS)]) : Bun.sleep(BREAK_AFTER_MS))
  socket.destroy()
}
