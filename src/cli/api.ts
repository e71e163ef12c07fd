/**
 * The admin API as commands use it. Routes, parameters and answers have the app's own types, from
 * the schemas that the API document is made of. Only types: nothing of the app is loaded.
 */
import type { createApp } from '../app.ts'
import { CURRENCY } from '../domain/limit.ts'
import type { Admin, RawAnswer } from './connect/speak.ts'

/** The routes as a tree of the steps of their paths, with the methods at its leaves. */
type Tree = Awaited<ReturnType<typeof createApp>>['api']['~Routes']

type RouteIn<Node, Path extends string = ''> = {
  [Name in keyof Node & string]: Node[Name] extends {
    params: infer Params
    query: infer Query
    response: infer Response
  }
    ? {
        name: `${Uppercase<Name>} ${Path}`
        given: { readonly [P in keyof Params]: string } & {
          readonly [Q in keyof Query]?: Query[Q] | undefined
        }
        answer: Response extends { 201: infer Made }
          ? Made
          : Response extends { 200: infer Found }
            ? Found
            : never
      }
    : RouteIn<Node[Name], `${Path}/${Name}`>
}[keyof Node & string]

type AnyRoute = RouteIn<Tree>

/** Such as `GET /admin/keys/:key`. */
export type Route = AnyRoute['name']
export type Given<R extends Route> = Extract<AnyRoute, { name: R }>['given']
export type Answer<R extends Route> = Extract<AnyRoute, { name: R }>['answer']

type ListRoute = Extract<AnyRoute, { answer: { next: string | null } }>['name']
type Item<R extends ListRoute> = Answer<R>['data'][number]

export type Api = {
  /** Connects, unless it is connected. */
  admin(): Promise<Admin>
  /** What the API answers, or throws `Refused`. `given` goes into the path and the query. */
  ask<R extends Route>(route: R, given: Given<R>, body?: object): Promise<Answer<R>>
  /** The pages of a list, the newest first, with `most` rows in all. */
  pages<R extends ListRoute>(
    route: R,
    given: Given<R>,
    most?: number,
  ): AsyncGenerator<readonly Item<R>[]>
  /** Of all money that the API shows. */
  currency(): Promise<string>
  close(): Promise<void>
}

/** The API has said no. The message has one line, and one more for each error in an input. */
export class Refused extends Error {
  readonly body: unknown
  readonly code: string | undefined

  constructor(answer: RawAnswer) {
    super(explain(answer))
    this.body = answer.body
    this.code = problemOf(answer).code
  }
}

/** The largest page that the API gives. */
const PAGE_MAX = 100

/** Connects at the first question, so that a command that was used wrongly opens nothing. */
export function createApi(connect: () => Promise<Admin>): Api {
  let connected: Promise<Admin> | undefined
  function admin() {
    connected ??= connect()
    return connected
  }
  async function ask(route: string, given: Values, body?: object) {
    const { request } = await admin()
    const [method = '', template = ''] = route.split(' ')
    const answer = await request(method, fill(template, given), body)
    if (answer.status >= 400) throw new Refused(answer)
    if (typeof answer.body !== 'object' || answer.body === null) throw new Error(STRANGER)
    return answer.body
  }
  async function* pages(route: string, given: Values, most = Number.POSITIVE_INFINITY) {
    let after: string | null = null
    for (let left = most; left > 0; ) {
      const limit = String(Math.min(PAGE_MAX, left))
      const page: Partial<Page> = await ask(route, { ...given, limit, after })
      if (!Array.isArray(page.data)) throw new Error(STRANGER)
      yield page.data
      left -= page.data.length
      after = page.next ?? null
      if (after === null) return
    }
  }
  let known: Promise<string> | undefined
  async function askCurrency(): Promise<string> {
    const { currency }: { currency?: unknown } = await ask('GET /admin/calls', { limit: '1' })
    // It goes to a terminal as it is.
    if (typeof currency === 'string' && CURRENCY.test(currency)) return currency
    throw new Error(STRANGER)
  }
  return {
    admin,
    currency() {
      known ??= askCurrency()
      return known
    },
    // The types of its callers are those of the routes; here they are only text.
    ask: ask as Api['ask'],
    pages: pages as Api['pages'],
    async close() {
      const opened = await connected?.catch(() => null)
      await opened?.close()
    },
  }
}

type Values = Readonly<Record<string, string | null | undefined>>
type Page = { readonly data: readonly unknown[]; readonly next: string | null }

/** What the path has no place for goes into the query; what is empty is left out. */
function fill(template: string, given: Values): string {
  const query = new URLSearchParams()
  let path = template
  for (const [name, value] of Object.entries(given)) {
    if (!value) continue
    if (path.includes(`/:${name}`)) path = path.replace(`:${name}`, () => encodeURIComponent(value))
    else query.set(name, value)
  }
  return query.size === 0 ? path : `${path}?${query}`
}

const STRANGER = 'What answered is not the admin API of a quota-proxy: look at --url.'

/** What to do on the command line, where it is not what the API says. */
const ADVICE: Readonly<Record<string, string>> = {
  key_not_found: 'There is no such key. "quota-proxy keys list" shows their ids.',
  upstream_not_found: 'There is no such upstream. "quota-proxy upstreams list" shows them.',
  upstream_already_exists:
    'There is one of this name. Change it with "quota-proxy upstreams update".',
  missing_admin_token: 'Give the admin token with --token-file or ADMIN_TOKEN.',
  invalid_admin_token: 'This is not the admin token of that server. Give it with --token-file.',
  not_found: 'The server does not know this command. Is it older, or is its admin API elsewhere?',
}

type Problem = {
  readonly code?: string
  readonly detail?: string
  readonly errors?: readonly { readonly path: string; readonly message: string }[]
}

function problemOf({ body }: RawAnswer): Problem {
  return typeof body === 'object' && body !== null ? body : {}
}

function explain(answer: RawAnswer): string {
  const { code, detail, errors = [] } = problemOf(answer)
  if (code === undefined) return `${STRANGER} It answered ${answer.status}.\n`
  // The detail of a refused input is its first error in other words.
  const said = ADVICE[code] ?? (errors.length > 0 ? 'The request is not valid.' : detail)
  const lines = errors.map(({ path, message }) => `  - ${path || 'the request'} ${message}\n`)
  return `${said} (${code})\n${lines.join('')}`
}
