/**
 * The recipes, followed as they stand: their commands are typed in from top to bottom, against stand-ins that answer as the
 * vendors do. Only hosts, ports and credentials are put in.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { ANTHROPIC_CREDENTIAL, startAnthropic } from '../support/anthropic-server.ts'
import { type Block, type Ran, runSession, sessionBlocks } from '../support/document-session.ts'
import { readDocument } from '../support/markdown.ts'
import { OPENAI_CREDENTIAL, startOpenAi } from '../support/openai-server.ts'
import { AZURE_CREDENTIAL, startAzure } from '../support/vendors/azure-server.ts'
import { DEEPSEEK_CREDENTIAL, startDeepSeek } from '../support/vendors/deepseek-server.ts'
import { GEMINI_CREDENTIAL, startGemini } from '../support/vendors/gemini-server.ts'
import { startOllama } from '../support/vendors/ollama-server.ts'
import { freePort } from '../support/wire.ts'

/** Some dozens of commands, each a process. */
const PAGE_MS_MAX = 150_000

const FILES = {
  'deepseek.key': DEEPSEEK_CREDENTIAL,
  'openai.key': OPENAI_CREDENTIAL,
  'anthropic.key': ANTHROPIC_CREDENTIAL,
  'azure.key': AZURE_CREDENTIAL,
  'gemini.key': GEMINI_CREDENTIAL,
}

const vendors = {
  'https://api.deepseek.com': startDeepSeek(),
  'https://api.openai.com': startOpenAi(),
  'https://api.anthropic.com': startAnthropic(),
  'https://my-resource.openai.azure.com': startAzure(),
  'https://generativelanguage.googleapis.com': startGemini(),
  'http://127.0.0.1:11434': startOllama(null),
}

/** As Cloudflare has them: the first list does not end its last line. */
const NETWORKS: Readonly<Record<string, string>> = {
  '/ips-v4': '173.245.48.0/20\n103.21.244.0/22',
  '/ips-v6': '2400:cb00::/32\n2606:4700::/32\n',
}
const cloudflare = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: ({ url }) => new Response(NETWORKS[new URL(url).pathname] ?? ''),
})
afterAll(() => cloudflare.stop(true))

let blocks: readonly Block[]
let ran: readonly Ran[]
let problem: string

beforeAll(async () => {
  const stands = [
    ...Object.entries(vendors).map(([shown, { url }]) => [shown, url] as const),
    ['https://www.cloudflare.com', cloudflare.url.origin] as const,
    ['ADMIN_LISTEN=127.0.0.1:8788', `ADMIN_LISTEN=127.0.0.1:${await freePort()}`] as const,
  ]
  const page = sessionBlocks(await readDocument('docs/recipes.md'))
  for (const [shown] of stands)
    expect(page.some(({ commands }) => commands.includes(shown))).toBeTrue()
  blocks = page.map((block) => ({
    ...block,
    commands: stands.reduce((text, [shown, real]) => text.replaceAll(shown, real), block.commands),
  }))
  const session = await runSession(blocks, FILES)
  ran = session.ran
  problem = session.problem
}, PAGE_MS_MAX)

test('every command of the recipes ends well, and prints what the page shows', () => {
  expect(problem).toBe('')
  expect(ran.length).toBe(blocks.length)
  const shown = ran.filter(({ output }) => output !== null)
  expect(shown.length).toBeGreaterThan(2)
  for (const { output, printed } of shown)
    expect(printed.replaceAll('\r', '')).toMatch(asPattern(output ?? ''))
})

test('every vendor was asked with its credential, and never with the key of a holder', () => {
  for (const { asked } of Object.values(vendors)) {
    // A stand-in remembers only what came with its credential.
    expect(asked.length).toBeGreaterThan(0)
    const sent = asked.flatMap(({ headers }) => [...headers.values()])
    expect(sent.filter((value) => value.includes('trial_'))).toEqual([])
  }
  expect(vendors['http://127.0.0.1:11434'].asked[0]?.headers.get('authorization')).toBeNull()
})

test('no command prints a credential', () => {
  const secrets = Object.values(FILES)
  expect(ran.filter(({ printed }) => secrets.some((text) => printed.includes(text)))).toEqual([])
})

test('each vendor that the program has prices for gets them', () => {
  const imported = ran
    .flatMap(({ printed }) => printed.split('\n'))
    .filter((line) => /^Prices of \w+: [1-9]\d* added/.test(line))
  expect(imported.length).toBe(5)
})

test('thirty students get a key once, and the thirty-first later', () => {
  const rows = printedBy('late-keys.csv').match(/^\d+,key_\w+,[\w-]+,trial_\w+$/gm) ?? []
  expect(rows.map((row) => row.split(',')[2])).toEqual(['student-31'])
  expect(printedBy('late-keys.csv')).toMatch(/student-31 +active +0 +200 +day/)
})

test('what the month costs is counted in money and in the zone', () => {
  const shown = printedBy('keys show five-a-month')
  // 64 tokens from the cache, 56 that were not, 30 written, at the preset's prices.
  const row =
    /^cost-month +(?:cost|USD|cost \(USD\)) +month \(Asia\/Shanghai\) +5\.00 +0\.00 +(0\.0\d+) /m.exec(
      shown,
    )
  expect(Number(row?.[1])).toBeGreaterThan(0)
})

test('the days and models of the last month are listed', () => {
  expect(printedBy('--by day,model')).toMatch(/deepseek-chat/)
})

test('the networks of Cloudflare are trusted, all of them', () => {
  expect(printedBy('config TRUSTED_PROXIES')).toContain(
    '127.0.0.1,173.245.48.0/20,103.21.244.0/22,2400:cb00::/32,2606:4700::/32',
  )
})

test('a key works as before on the new server', () => {
  const moved = printedBy('-xzf quota-proxy.tar.gz')
  expect(moved).toMatch(/ok +books/)
  expect(moved).toContain('gpt-4o-mini')
})

function printedBy(text: string): string {
  const one = ran.find(({ commands }) => commands.includes(text))
  if (!one) throw new Error(`the page has no block with ${text}`)
  return one.printed
}

/** `…` stands for anything within a line. */
function asPattern(output: string): RegExp {
  return new RegExp(`^${output.trimEnd().split('…').map(RegExp.escape).join('.*')}\n?$`)
}
