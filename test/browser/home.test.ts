/** The page at the bare address, as somebody sees it who was given nothing else. */
import { expect, test } from 'bun:test'
import { browserTest, openPage } from '../support/browser.ts'
import { addUpstream } from '../support/named-upstream.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
await addUpstream(server, { name: 'shop', base_url: 'http://127.0.0.1:9', mount: '/v1' })
const closed = await startServer({ ADMIN_LISTEN: '127.0.0.1:0' })

const LIGHT = 'rgb(255, 255, 255)'

for (const colorScheme of ['light', 'dark'] as const)
  for (const width of [320, 1280])
    browserTest(`it is ${colorScheme} where the system is, and fits ${width} pixels`, async () => {
      const visit = await openPage({ colorScheme, viewport: { width, height: 900 } })
      const { page, faults, requests } = visit
      await page.goto(`${server.url}/`)
      const seen = (await page.evaluate(`({
        width: document.documentElement.scrollWidth,
        background: getComputedStyle(document.body).backgroundColor,
        icon: document.querySelector('h1 img').naturalWidth > 0,
        scripts: document.scripts.length,
      })`)) as Record<string, unknown>
      expect(seen).toMatchObject({ width, icon: true, scripts: 0 })
      expect(seen['background'] === LIGHT).toBe(colorScheme === 'light')
      expect(faults).toEqual([])
      expect(requests.filter((url) => !url.startsWith(`${server.url}/`))).toEqual([])
      await page.context().close()
    })

browserTest('every link on it leads somewhere', async () => {
  const { page } = await openPage()
  await page.goto(`${server.url}/`)
  const links = (await page.evaluate('[...document.links].map(({ href }) => href)')) as string[]
  expect(links.length).toBeGreaterThan(2)
  for (const link of links) {
    expect(link).toStartWith(`${server.url}/`)
    expect([link, (await fetch(link)).status]).toEqual([link, 200])
  }
  await page.context().close()
})

browserTest('it speaks the language of its reader', async () => {
  for (const [locale, title] of [
    ['zh-CN', '持有密钥的人'],
    ['zh-TW', '持有密钥的人'],
    ['en-GB', 'You have a key'],
    ['fr-FR', 'You have a key'],
  ] as const) {
    const { page } = await openPage({ locale })
    await page.goto(`${server.url}/`)
    expect([locale, await page.locator('h2').first().textContent()]).toEqual([locale, title])
    await page.context().close()
  }
})

const HTML = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
const pageOf = async (url: string, headers = {}) => {
  const answer = await fetch(`${url}/`, { headers: { ...HTML, ...headers }, redirect: 'manual' })
  expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
  return answer.text()
}

test('languages are weighed as they are asked for', async () => {
  for (const [accepted, lang] of [
    ['zh-CN,zh;q=0.9,en;q=0.8', 'zh-CN'],
    ['en;q=0.5, zh;q=0.9', 'zh-CN'],
    ['de, en;q=0.3, zh;q=0.2', 'en'],
    ['zh;q=0', 'en'],
    ['', 'en'],
    ['zhx, *', 'en'],
  ] as const)
    expect([accepted, await pageOf(server.url, { 'accept-language': accepted })]).toEqual([
      accepted,
      expect.stringContaining(`<html lang="${lang}">`),
    ])
})

test('holders are told in both languages what amounts of money are counted in', async () => {
  for (const language of ['en', 'zh-CN'])
    expect(await pageOf(server.url, { 'accept-language': language })).toContain('1500000')
})

test('it names the mounts', async () => {
  expect(await pageOf(server.url)).toContain('<code>/v1</code>')
})

test('where the operator has a listener, the page of holders has no word of what is there', async () => {
  const page = await pageOf(closed.url)
  expect(page).toContain('You have a key')
  expect(page).not.toMatch(/swagger|admin|metrics|You run/)
  const { url } = { url: String(closed.events().flatMap((event) => event['admin'] ?? [])[0]) }
  const operators = await pageOf(url.replace(/\/$/, ''))
  expect(operators).toContain('href="/swagger"')
  expect(operators).not.toContain('You have a key')
})

test('programs are told what they were told before', async () => {
  for (const accept of ['*/*', 'application/json', 'text/htmlx']) {
    const answer = await fetch(`${server.url}/`, { headers: { accept }, redirect: 'manual' })
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/swagger'])
    const none = await fetch(`${closed.url}/`, { headers: { accept }, redirect: 'manual' })
    expect([none.status, await none.json()]).toEqual([
      404,
      expect.objectContaining({ code: 'not_found' }),
    ])
  }
})
