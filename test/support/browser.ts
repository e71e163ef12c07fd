/**
 * A real Chromium that can reach this machine and nothing else, and that remembers whatever a good page never does.
 * Where there is no Chromium the tests are skipped, but never in CI.
 */
import { test } from 'bun:test'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { closeWithRun } from './server.ts'

const EXECUTABLE = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => Bun.which(name))
  .find((path) => path !== null)

/** A page is slow to open on a busy machine; nothing is measured by this. */
const TEST_MS_MAX = 60_000

let browser: Promise<Browser> | undefined
closeWithRun(async () => (await browser)?.close())

/** Like `test`; skipped with a reason where there is no browser. */
export function browserTest(name: string, run: () => Promise<void>): void {
  if (EXECUTABLE || process.env['CI']) test(name, run, TEST_MS_MAX)
  else test.skip(`${name} (no Chromium here: install the Debian package chromium)`, run)
}

export type Visit = {
  readonly page: Page
  /** Errors in the console, uncaught exceptions, violations of the content security policy. */
  readonly faults: string[]
  /** The URL of every request that the page made. */
  readonly requests: string[]
}

export async function openPage(options: BrowserContextOptions = {}): Promise<Visit> {
  browser ??= launch()
  const context = await (await browser).newContext(options)
  const page = await context.newPage()
  const faults: string[] = []
  const requests: string[] = []
  page.on('request', (request) => requests.push(request.url()))
  page.on('pageerror', (error) => faults.push(String(error)))
  // A violation of the policy is an error in the console.
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text())
  })
  return { page, faults, requests }
}

function launch(): Promise<Browser> {
  if (!EXECUTABLE) throw new Error('There is no Chromium: install the Debian package chromium.')
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
    ],
  })
}
