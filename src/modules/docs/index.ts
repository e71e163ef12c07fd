/**
 * `/swagger` and `/swagger/json`: the documentation of the API; and the page at `/`. All of it from files in the binary and
 * from no other host.
 */
import { Elysia } from 'elysia'
import { AppError } from '../../errors.ts'
import { senderOf } from '../../http/request/sender.ts'
import { type UpstreamAtHand, withUpstreams } from './at-hand.ts'
import { FAVICON, HOME_POLICY, homePage, languageOf, takesPages } from './home.ts'
import { PAGE, PAGE_POLICY, PAGE_STYLES, START } from './page.ts'

type DocsOptions = {
  readonly document: () => Promise<object>
  /** Whether the operator has a listener of their own, where this documentation is served alone. */
  readonly hasAdminListener: () => boolean
  /** Those that are open. */
  readonly upstreams: () => readonly UpstreamAtHand[]
}

export function docsController({ document, hasAdminListener, upstreams }: DocsOptions) {
  const home = createHome(hasAdminListener, upstreams)
  const favicon = file(() => FAVICON, 'image/svg+xml')
  const page = file(() => PAGE, 'text/html', { 'content-security-policy': PAGE_POLICY })
  // Loaded when somebody opens the page: most servers are never asked for it.
  const swaggerUi = async () => (await import('./swagger-ui.ts')).SWAGGER_UI
  const bundleStyles = file(async () => (await swaggerUi()).styles, 'text/css')
  const bundle = file(async () => (await swaggerUi()).script, 'text/javascript')
  const pageStyles = file(() => PAGE_STYLES, 'text/css')
  const start = file(() => START, 'text/javascript')
  const json = documentWith(document, upstreams)

  return new Elysia({ name: 'docs', detail: { hide: true } })
    .get('/', ({ request }) => home(request))
    .get('/favicon.ico', ({ request }) => favicon(request))
    .get('/swagger', ({ request }) => page(request))
    .get('/swagger/swagger-ui.css', ({ request }) => bundleStyles(request))
    .get('/swagger/swagger-ui-bundle.js', ({ request }) => bundle(request))
    .get('/swagger/page.css', ({ request }) => pageStyles(request))
    .get('/swagger/start.js', ({ request }) => start(request))
    .get('/swagger/json', ({ request }) => json(request))
}

/** Made anew when the upstreams have changed. */
function documentWith(document: () => Promise<object>, upstreams: DocsOptions['upstreams']) {
  let made: { readonly of: string; readonly answer: ReturnType<typeof file> } | undefined
  return (request: Request): Promise<Response> => {
    const now = upstreams().map(({ name, mount }) => ({ name, mount }))
    const of = JSON.stringify(now)
    if (made?.of !== of) {
      const read = async () => JSON.stringify(withUpstreams(await document(), now))
      made = { of, answer: file(read, 'application/json') }
    }
    return made.answer(request)
  }
}

/** A browser is shown what is here; programs are led to the document where it is served. */
function createHome(hasAdminListener: () => boolean, upstreams: DocsOptions['upstreams']) {
  return (request: Request): Response => {
    const { headers } = request
    const { listener = 'main' } = senderOf(request)
    const forOperators = listener !== 'main' || !hasAdminListener()
    const vary = 'accept, accept-language'
    if (!takesPages(headers.get('accept'))) {
      if (!forOperators) throw new AppError('not_found', NOTHING_HERE)
      return new Response(null, { status: 302, headers: { location: '/swagger', vary } })
    }
    const language = languageOf(headers.get('accept-language'))
    const forHolders = listener === 'main'
    const mounts = upstreams().flatMap(({ mount }) => mount ?? [])
    return new Response(homePage({ language, forOperators, forHolders, mounts }), {
      headers: {
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': HOME_POLICY,
        'cache-control': 'no-cache',
        vary,
      },
    })
  }
}

const NOTHING_HERE = 'There is nothing at this path. See /swagger for what there is.'

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
