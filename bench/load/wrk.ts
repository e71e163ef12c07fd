/** Runs wrk with a script of its own and reads back what it saw. A round with a single failed request is no measurement. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cpuUs } from '../process-stats.ts'
import type { Server, Workspace } from '../workspace.ts'

export type Load = {
  readonly connections: number
  readonly seconds: number
  /** Each connection waits up to twice this between its calls; without it, not at all. */
  readonly pauseMs?: number
}

export type Traffic = {
  readonly path: string
  /** It is a POST; without one, a GET. */
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  /** The key of all calls, where they have one. */
  readonly key?: string
  /** One key a line; each call takes one of them at random. */
  readonly keysFile?: string
}

export type WrkResult = {
  readonly requests: number
  readonly durationUs: number
  readonly errors: number
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
}

export type Sample = {
  readonly cpuUs: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** So that what a call leaves behind, such as its ledger entry, is counted with it. */
const AFTER_MS = 100

/** Only a hang: a slow gateway may need seconds for each of many calls at once. */
const TIMEOUT = '20s'

/** One thread of wrk makes more calls than any of the proxies takes. */
const THREADS = 1

/** Puts a load on a server; the sample is of one call: the CPU time of the server, and what its client saw. */
export async function measure(
  workspace: Workspace,
  server: Server,
  traffic: Traffic,
  load: Load,
): Promise<Sample> {
  const before = cpuUs(server.pid)
  const result = await runWrk(workspace, server.url, traffic, load)
  await Bun.sleep(AFTER_MS)
  const usedUs = cpuUs(server.pid) - before
  return {
    cpuUs: usedUs / result.requests,
    perSecond: result.requests / (result.durationUs / 1e6),
    p50Ms: result.p50Us / 1000,
    p99Ms: result.p99Us / 1000,
  }
}

async function runWrk(
  workspace: Workspace,
  url: string,
  traffic: Traffic,
  { connections, seconds, pauseMs }: Load,
): Promise<WrkResult> {
  const script = join(workspace.directory, 'wrk.lua')
  writeFileSync(script, luaScript(traffic, pauseMs))
  const child = workspace.spawn([
    'wrk',
    `-t${THREADS}`,
    `-c${connections}`,
    `-d${seconds}s`,
    '--timeout',
    TIMEOUT,
    '-s',
    script,
    url,
  ])
  const output = await new Response(child.stdout).text()
  await child.exited
  const result = parseWrk(output)
  if (!result || result.requests === 0 || result.errors > 0) {
    throw new Error(`wrk saw errors at ${url}:\n${output}`)
  }
  return result
}

/** Null if the output holds no result. */
export function parseWrk(output: string): WrkResult | null {
  const line = /^result (\{.*\})$/m.exec(output)?.[1]
  return line === undefined ? null : (JSON.parse(line) as WrkResult)
}

/** Stands in the request where each call puts its key. */
const MARK = 'the-key'

export function luaScript(
  { path, body, headers = {}, key, keysFile }: Traffic,
  pauseMs?: number,
): string {
  const lines = [`wrk.path = ${quoted(path)}`]
  if (body !== undefined) {
    lines.push(
      `wrk.method = 'POST'`,
      `wrk.headers['Content-Type'] = 'application/json'`,
      `wrk.body = ${quoted(body)}`,
    )
  }
  // Without the spaces the brackets of the index and of the text would be one.
  for (const [name, value] of Object.entries(headers))
    lines.push(`wrk.headers[ ${quoted(name)} ] = ${quoted(value)}`)
  if (key) lines.push(`wrk.headers['X-API-Key'] = ${quoted(key)}`)
  if (keysFile) {
    lines.push(
      `wrk.headers['X-API-Key'] = ${quoted(MARK)}`,
      'local keys, head, tail = {}, nil, nil',
      'function init()',
      `  for key in io.lines(${quoted(keysFile)}) do keys[#keys + 1] = key end`,
      '  local whole = wrk.format()',
      `  local from, to = whole:find(${quoted(MARK)}, 1, true)`,
      '  head, tail = whole:sub(1, from - 1), whole:sub(to + 1)',
      '  math.randomseed(os.time())',
      'end',
      'function request() return head .. keys[math.random(#keys)] .. tail end',
    )
  }
  if (pauseMs !== undefined)
    lines.push(`function delay() return math.random(0, ${2 * pauseMs}) end`)
  return `${lines.join('\n')}\n${LUA_DONE}`
}

const LUA_DONE = `function done(summary, latency)
  local errors = 0
  for _, number in pairs(summary.errors) do errors = errors + number end
  print(string.format(
    'result {"requests":%d,"durationUs":%d,"errors":%d,"p50Us":%d,"p99Us":%d,"maxUs":%d}',
    summary.requests, summary.duration, errors,
    latency:percentile(50), latency:percentile(99), latency.max))
end
`

function quoted(text: string): string {
  return `[==[${text}]==]`
}
