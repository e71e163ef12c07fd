/**
 * The page that a browser sees at `/`: what this is, for whoever was given its address. It has no script, loads nothing from
 * another host, and says nothing of the operator's routes where these are not served. Pure.
 */
import { HOME_WORDS, type HomeWords } from './home-words.ts'

export type Home = {
  readonly language: keyof typeof HOME_WORDS
  /** Whether the routes of the operator are served at this listener, and those of holders. */
  readonly forOperators: boolean
  readonly forHolders: boolean
  /** The paths where upstreams are mounted. */
  readonly mounts: readonly string[]
}

/** More would not help whoever reads the page. */
const MOUNTS_MAX = 20

const STYLES = `
:root { color-scheme: light dark; --text: #1c2024; --faint: #5b6470; --line: #d8dde3; --ground: #fff; --code: #f2f4f7; --link: #0b57a4 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e9ed; --faint: #9aa4b0; --line: #343b44; --ground: #16191d; --code: #21262c; --link: #7cb8f2 }
}
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.6 system-ui, sans-serif }
main { max-width: 42rem; margin: 0 auto; padding: 2.5rem 1.25rem }
h1 { display: flex; align-items: center; gap: .6rem; margin: 0; font-size: 1.6rem }
h1 img { width: 2rem; height: 2rem }
h2 { margin: 2rem 0 .5rem; padding-top: 1.25rem; border-top: 1px solid var(--line); font-size: 1.15rem }
p, ul { margin: .5rem 0 }
ul { padding-left: 1.25rem }
a { color: var(--link) }
code { padding: .1em .3em; border-radius: 4px; background: var(--code); font: .9em/1.5 ui-monospace, monospace; overflow-wrap: anywhere }
footer { margin-top: 2rem; color: var(--faint); font-size: .9rem }
`

const STYLES_HASH = new Bun.CryptoHasher('sha256').update(STYLES).digest('base64')

/** Allows these very styles and our own icon. */
export const HOME_POLICY = `default-src 'none'; style-src 'sha256-${STYLES_HASH}'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** A gauge that is three quarters full. */
export const FAVICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b57a4"/><g fill="none" stroke-width="4" stroke-linecap="round"><path d="M7 21a9 9 0 1 1 18 0" stroke="#6ea3d8"/><path d="M7 21a9 9 0 0 1 13.5-7.8" stroke="#fff"/></g><circle cx="16" cy="21" r="2.5" fill="#fff"/></svg>`

export function homePage({ language, forOperators, forHolders, mounts }: Home): string {
  const words = HOME_WORDS[language]
  const parts = [
    ...(forHolders ? [holders(words, mounts)] : []),
    ...(forOperators ? [section(words.operators)] : []),
  ]
  return `<!doctype html>
<html lang="${words.lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>quota-proxy</title>
<link rel="icon" href="/favicon.ico" type="image/svg+xml">
<style>${STYLES}</style>
</head>
<body><main>
<h1><img src="/favicon.ico" alt="">quota-proxy</h1>
<p>${words.what}</p>
${parts.join('\n')}
<footer>${words.footer}</footer>
</main></body>
</html>
`
}

function holders({ holders: words, mountsAre, noMounts }: HomeWords, mounts: readonly string[]) {
  const some = mounts.slice(0, MOUNTS_MAX).map((mount) => `<code>${escaped(mount)}</code>`)
  const where = some.length > 0 ? `${mountsAre} ${some.join(' ')}` : noMounts
  return section({ ...words, items: [...words.items, where] })
}

function section({ title, text, items }: HomeWords['holders']): string {
  return `<h2>${title}</h2>\n<p>${text}</p>\n<ul>${items.map((item) => `<li>${item}</li>`).join('')}</ul>`
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
}

/** Whether whoever asks shows pages: programs take anything, or JSON. */
export function takesPages(accept: string | null): boolean {
  return /(?:^|,)\s*text\/html\s*(?:[,;]|$)/i.test(accept ?? '')
}

/** The one of ours that is wanted most (RFC 9110 section 12.5.4); English if none is. */
export function languageOf(accept: string | null): Home['language'] {
  let wanted: Home['language'] = 'en'
  let most = 0
  for (const range of (accept ?? '').slice(0, 1000).split(',')) {
    const [, tag, q = '1'] =
      /^\s*(zh|en)(?:-[a-z0-9-]*)?\s*(?:;\s*q=([01](?:\.\d*)?)\s*)?$/i.exec(range) ?? []
    if (tag === undefined || Number(q) <= most) continue
    most = Number(q)
    wanted = tag.toLowerCase() === 'zh' ? 'zh' : 'en'
  }
  return wanted
}
