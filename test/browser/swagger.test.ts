/** Swagger UI as an operator meets it: in a real browser that can reach nothing but the service. */
import { expect } from 'bun:test'
import { browserTest, openPage, type Visit } from '../support/browser.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { issueKey, startServer } from '../support/server.ts'
import { startUpstream } from '../support/upstream.ts'

const server = await startServer()
await issueKey(server, { name: 'shown in the browser' })

browserTest('the admin token, pasted under Authorize, makes "Try it out" work', async () => {
  const visit = await openSwagger()
  const { page } = visit
  await page.click('.btn.authorize')
  // Whoever pastes without looking pastes into the right field.
  await page.keyboard.insertText(server.adminToken)
  await page
    .locator('.auth-container', { hasText: 'adminToken' })
    .locator('button.authorize')
    .click()
  await page.click('.btn-done')

  const operation = page.locator('#operations-Keys-listKeys')
  await operation.locator('.opblock-summary-control').click()
  await operation.locator('.try-out__btn').click()
  const answered = page.waitForResponse((response) => response.url().includes('/admin/keys'))
  await operation.locator('.execute').click()

  expect((await answered).status()).toBe(200)
  const live = operation.locator('.live-responses-table')
  expect(await live.locator('.response-col_status').last().textContent()).toStartWith('200')
  expect(await live.locator('.response-col_description').last().textContent()).toContain(
    'shown in the browser',
  )
  expectQuiet(visit)
  await page.context().close()
})

browserTest('the pasted token is forgotten with the page', async () => {
  const { page } = await openSwagger()
  await page.click('.btn.authorize')
  await page.keyboard.insertText(server.adminToken)
  await page
    .locator('.auth-container', { hasText: 'adminToken' })
    .locator('button.authorize')
    .click()

  const { cookies, origins } = await page.context().storageState()
  expect({ cookies, origins }).toEqual({ cookies: [], origins: [] })
  await page.context().close()
})

for (const colorScheme of ['light', 'dark'] as const) {
  browserTest(`the page is ${colorScheme} where the system is, and fits a telephone`, async () => {
    const visit = await openSwagger({ colorScheme, viewport: { width: 390, height: 844 } })
    const { page } = visit
    for (const id of ['Proxy-proxyCall', 'Keys-createKey']) {
      await page.locator(`#operations-${id} .opblock-summary-control`).click()
      await page.locator(`#operations-${id} .responses-table`).waitFor()
    }
    const seen = await page.evaluate(`({
      width: document.documentElement.scrollWidth,
      background: getComputedStyle(document.documentElement).backgroundColor,
    })`)
    expect(seen).toEqual({
      width: 390,
      background: colorScheme === 'dark' ? 'rgb(28, 32, 34)' : 'rgba(0, 0, 0, 0)',
    })
    expectQuiet(visit)
    await page.context().close()
  })
}

browserTest(
  'a call of an upstream goes through its form as it stands, slashes and all',
  async () => {
    const seen: string[] = []
    const upstream = startUpstream((request, { body }) => {
      const { pathname, search } = new URL(request.url)
      seen.push(`${request.method} ${pathname}${search}`)
      const { model, messages } = JSON.parse(body || '{}') as Record<string, unknown>
      const isRight = pathname !== '/base/chat/completions' || (model && Array.isArray(messages))
      return Response.json({ choices: [] }, { status: isRight ? 200 : 400 })
    })
    await addUpstream(server, { name: 'llm', base_url: `${upstream.url}/base`, mount: '/v1' })
    const { key } = await issueKey(server, { quota: 10 })
    const visit = await openSwagger()
    const { page } = visit
    await page.click('.btn.authorize')
    const holder = page.locator('.auth-container', { hasText: 'apiKey' })
    await holder.locator('input').fill(key)
    await holder.locator('button.authorize').click()
    await page.click('.btn-done')

    const status = async (id: string, path?: string) => {
      const operation = page.locator(`#operations-Proxy-${id}`)
      await operation.locator('.opblock-summary-control').first().click()
      await operation.locator('.try-out__btn').click()
      if (path !== undefined) await operation.locator('tr[data-param-name=path] input').fill(path)
      const answered = page.waitForResponse((response) => response.url().includes('/u/'))
      await operation.locator('.execute').click()
      return (await answered).status()
    }
    expect(await status('passPost')).toBe(200)
    expect(await status('passGet', 'files/a b/c%2Fd?x=1&y=#2')).toBe(200)
    expect(seen).toEqual(['POST /base/chat/completions', 'GET /base/files/a%20b/c%2Fd?x=1&y=%232'])
    expectQuiet(visit)
    await page.context().close()
  },
)

browserTest('the page at the bare address leads to the documentation', async () => {
  const { page } = await openPage()
  await page.goto(`${server.url}/`)
  await page.click('a[href="/swagger"]')
  await page.locator('.opblock').first().waitFor()
  expect(page.url()).toBe(`${server.url}/swagger`)
  await page.context().close()
})

async function openSwagger(options: Parameters<typeof openPage>[0] = {}): Promise<Visit> {
  const visit = await openPage(options)
  await visit.page.goto(`${server.url}/swagger`)
  await visit.page.locator('.opblock').first().waitFor()
  return visit
}

function expectQuiet({ faults, requests }: Visit): void {
  expect(faults).toEqual([])
  // Icons inside the styles are data, which comes from nowhere.
  const own = (url: string) => url.startsWith(`${server.url}/`) || url.startsWith('data:')
  expect(requests.filter((url) => !own(url))).toEqual([])
  expect(requests.length).toBeGreaterThan(5)
}
