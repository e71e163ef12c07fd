/**
 * The page of Swagger UI with its start script and styles. They are ours, because the stock ones
 * load from another host.
 */

/**
 * Allows only our own scripts, styles, fonts and connections. `data:` is for icons in Swagger UI's
 * styles.
 */
export const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

export const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>quota-proxy API</title>
    <link rel="icon" href="/favicon.ico" type="image/svg+xml">
    <link rel="stylesheet" href="/swagger/swagger-ui.css">
    <link rel="stylesheet" href="/swagger/page.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <noscript>This page needs JavaScript. The document itself is at <a href="/swagger/json">/swagger/json</a>.</noscript>
    <script src="/swagger/swagger-ui-bundle.js"></script>
    <script src="/swagger/start.js"></script>
  </body>
</html>
`

export const PAGE_STYLES = `
body { margin: 0 }
.swagger-ui .info { margin: 24px 0 0 }
.swagger-ui .scheme-container { margin: 0; padding: 0 0 16px; box-shadow: none; background: none }
/* There is one server, this one, and no operation has links. */
.swagger-ui .servers-title, .swagger-ui .servers, .swagger-ui .response-col_links { display: none }
.swagger-ui .headers td { color: inherit !important }
`

/** Swagger UI has a class for its dark mode; this follows the system. */
export const START = `
const dark = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', follow)
follow()
window.ui = SwaggerUIBundle({
  url: '/swagger/json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null,
  // What follows a base URL may be several segments and a query. The form encodes it as if it were one.
  requestInterceptor(request) {
    const [, base, rest] = /^((?:https?:\\/\\/[^/]+)?\\/u\\/[^/?#]+\\/)([^?#]+)$/.exec(request.url) ?? []
    if (base) request.url = base + decodeURIComponent(rest).replace(/^\\//, '').replaceAll('#', '%23')
    return request
  },
})
`
