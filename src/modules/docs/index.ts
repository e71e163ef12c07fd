/**
 * `/swagger` and `/swagger/json`: the documentation of the API, from files in the binary and from
 * no other host.
 */
import { Elysia } from 'elysia'
import { PAGE, PAGE_POLICY, PAGE_STYLES, START } from './page.ts'

export function docsController(document: () => Promise<object>) {
  const page = file(() => PAGE, 'text/html', { 'content-security-policy': PAGE_POLICY })
  // Loaded when somebody opens the page: most servers are never asked for it.
  const swaggerUi = async () => (await import('./swagger-ui.ts')).SWAGGER_UI
  const bundleStyles = file(async () => (await swaggerUi()).styles, 'text/css')
  const bundle = file(async () => (await swaggerUi()).script, 'text/javascript')
  const pageStyles = file(() => PAGE_STYLES, 'text/css')
  const start = file(() => START, 'text/javascript')
  const json = file(async () => JSON.stringify(await document()), 'application/json')

  return (
    new Elysia({ name: 'docs', detail: { hide: true } })
      // A browser at the bare address is shown what is here.
      .get('/', () => new Response(null, { status: 302, headers: { location: '/swagger' } }))
      .get('/swagger', ({ request }) => page(request))
      .get('/swagger/swagger-ui.css', ({ request }) => bundleStyles(request))
      .get('/swagger/swagger-ui-bundle.js', ({ request }) => bundle(request))
      .get('/swagger/page.css', ({ request }) => pageStyles(request))
      .get('/swagger/start.js', ({ request }) => start(request))
      .get('/swagger/json', ({ request }) => json(request))
  )
}

/**
 * A text that changes only with the program: sent whole once, compressed where that is understood. `read` is called at the
 * first request, and its text is kept.
 */
function file(
  read: () => string | Promise<string>,
  type: string,
  extra: Record<string, string> = {},
): (request: Request) => Promise<Response> {
  let answer: Promise<Answer> | undefined
  return async (request) => {
    answer ??= Promise.resolve(read()).then((text) => answerWith(text, type, extra))
    return (await answer)(request)
  }
}

type Answer = (request: Request) => Response

function answerWith(text: string, type: string, extra: Record<string, string>): Answer {
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
