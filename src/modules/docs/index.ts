/**
 * `/swagger` and `/swagger/json`: the documentation of the API, from files in the binary and from
 * no other host.
 */
import { Elysia } from 'elysia'
import styles from 'swagger-ui-dist/swagger-ui.css' with { type: 'text' }
import script from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'text' }
import { PAGE, PAGE_POLICY, PAGE_STYLES, START } from './page.ts'

export function docsController(document: () => Promise<object>) {
  const page = file(PAGE, 'text/html', { 'content-security-policy': PAGE_POLICY })
  const bundleStyles = file(styles, 'text/css')
  const bundle = file(script, 'text/javascript')
  const pageStyles = file(PAGE_STYLES, 'text/css')
  const start = file(START, 'text/javascript')
  let json: Answer | undefined

  return (
    new Elysia({ name: 'docs', detail: { hide: true } })
      // A browser at the bare address is shown what is here.
      .get('/', () => new Response(null, { status: 302, headers: { location: '/swagger' } }))
      .get('/swagger', ({ request }) => page(request))
      .get('/swagger/swagger-ui.css', ({ request }) => bundleStyles(request))
      .get('/swagger/swagger-ui-bundle.js', ({ request }) => bundle(request))
      .get('/swagger/page.css', ({ request }) => pageStyles(request))
      .get('/swagger/start.js', ({ request }) => start(request))
      .get('/swagger/json', async ({ request }) => {
        json ??= file(JSON.stringify(await document()), 'application/json')
        return json(request)
      })
  )
}

type Answer = (request: Request) => Response

/**
 * Serves a text that changes only with the program: whole at the first visit, compressed where the
 * client takes that.
 */
function file(text: string, type: string, extra: Record<string, string> = {}): Answer {
  // Weak, because the compressed form has the same tag (RFC 9110 section 8.8.3).
  const etag = `W/"${Bun.hash(text).toString(36)}"`
  // Browsers ask again at every visit, so that nobody reads the documentation of an older release.
  const headers = { etag, 'cache-control': 'no-cache', vary: 'accept-encoding', ...extra }
  const contentType = { 'content-type': `${type}; charset=utf-8` }
  let zipped: Uint8Array<ArrayBuffer> | undefined

  return (request) => {
    if (request.headers.get('if-none-match')?.includes(etag))
      return new Response(null, { status: 304, headers })
    if (!/\bgzip\b/.test(request.headers.get('accept-encoding') ?? ''))
      return new Response(text, { headers: { ...headers, ...contentType } })
    zipped ??= Bun.gzipSync(text)
    return new Response(zipped, {
      headers: { ...headers, ...contentType, 'content-encoding': 'gzip' },
    })
  }
}
