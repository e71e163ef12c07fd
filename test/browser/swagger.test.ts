/** Swagger UI as an operator meets it: in a real browser that can reach nothing but the service. */
import { expect } from 'bun:test'
import { browserTest, openPage, type Visit } from '../support/browser.ts'
import { issueKey, startServer } from '../support/server.ts'

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

browserTest('the bare address leads to the documentation', async () => {
  const { page } = await openPage()
  await page.goto(`${server.url}/`)
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
