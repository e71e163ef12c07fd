/** `/swagger` and `/swagger/json`: the API's documentation, from files inside the binary and from no other host. */
import { Elysia } from 'elysia'
import styles from 'swagger-ui-dist/swagger-ui.css' with { type: 'text' }
import script from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'text' }
import { PAGE, START } from './page.ts'

/** Swagger UI sets styles from its own script, which needs 'unsafe-inline' for styles; scripts stay ours alone. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export function docsController(document: () => Promise<unknown>) {
  return new Elysia({ name: 'docs', detail: { hide: true } })
    .get('/swagger', () => file(PAGE, 'text/html', { 'content-security-policy': PAGE_POLICY }))
    .get('/swagger/swagger-ui.css', () => file(styles, 'text/css'))
    .get('/swagger/swagger-ui-bundle.js', () => file(script, 'text/javascript'))
    .get('/swagger/start.js', () => file(START, 'text/javascript'))
    .get('/swagger/json', async () => Response.json(await document()))
}

function file(text: string, type: string, headers: Record<string, string> = {}): Response {
  return new Response(text, {
    headers: {
      'content-type': `${type}; charset=utf-8`,
      'cache-control': 'public, max-age=3600',
      ...headers,
    },
  })
}
