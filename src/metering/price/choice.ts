/** Which price a call has: by the model that did the work, or else by the one that was asked for. Pure. */

import type { Price } from '../../domain/upstream/price.ts'
import { matchesName } from '../../lib/text/glob.ts'
import { costOf, type Priced } from './cost.ts'

/** The names of the model that a request asks for; null or absent is one that it does not give. */
export type AskedModels = {
  /** As the upstream is asked for it. */
  readonly asked: string | null
  /** As the client calls it, if that is another name. */
  readonly alias?: string | null
  /** Models that the request lets the upstream take in its place. */
  readonly fallbacks?: readonly string[]
}

export type ModelNames = AskedModels & {
  /** As the answer names the model that did the work. */
  readonly answered?: string | null
}

/**
 * The names of one model come first, then those of the next: a price for a name wins over one for a glob, wherever they
 * stand; of globs the first in the list wins. A glob for every model, such as `*`, is no price of the answered model in
 * particular, so that a price for the model that was asked for wins over it, unless the upstream took a fallback.
 */
export function priceOf(prices: readonly Price[], names: ModelNames): Price | null {
  if (prices.length === 0) return null
  const list = listOf(prices)
  const { asked, alias = null, answered = null, fallbacks = [] } = names
  const askedNames = namesOf(asked, alias)
  if (answered === null) return askedPrice(list, askedNames)
  const answeredNames = namesOf(answered)
  const isAsked = asked !== null && answeredNames.some((name) => askedNames.includes(name))
  const own = isAsked ? namesOf(answered, asked, alias) : answeredNames
  const byName = named(list, own)
  if (byName) return byName
  const byGlob = fitting(list, own)
  const isFallback = !isAsked && answeredNames.some((name) => fallbacks.includes(name))
  if (byGlob && (isFallback || !isForAll(byGlob))) return byGlob
  return askedPrice(list, askedNames)
}

function askedPrice(list: List, names: readonly string[]): Price | null {
  return named(list, names) ?? fitting(list, names) ?? meant(list, names)
}

/** Whether every model that a request lets the upstream take has a price. */
export function arePriced(prices: readonly Price[], models: AskedModels): boolean {
  return eachAsked(models).every((names) => priceOf(prices, names) !== null)
}

/** What a call may cost: whatever model the upstream takes of those that the request allows. */
export function costAtMost(prices: readonly Price[], models: AskedModels, usage: Priced): number {
  let most = 0
  for (const names of eachAsked(models)) {
    const price = priceOf(prices, names)
    if (price) most = Math.max(most, costOf(price, usage))
  }
  return most
}

function eachAsked(models: AskedModels): readonly AskedModels[] {
  const { fallbacks = [] } = models
  if (fallbacks.length === 0) return [models]
  return [models, ...fallbacks.map((asked) => ({ asked }))]
}

/** A day or a version at the end of a name: OpenAI's, Anthropic's, Google's and Mistral's ways to write it. */
const VERSION = /[-@](?:\d{4}-\d\d-\d\d|\d{8}|\d{6}|\d{4}|\d\d-\d{4}|\d\d-\d\d|00\d|latest)$/

/** Each name, and the same without a version at its end. A model that nobody names has the empty name. */
function namesOf(...given: readonly (string | null)[]): readonly string[] {
  const names: string[] = []
  for (const name of given) if (name !== null) names.push(name)
  for (const name of [...names]) {
    const base = name.replace(VERSION, '')
    if (base !== '' && !names.includes(base)) names.push(base)
  }
  return names.length > 0 ? names : ['']
}

/** A price list as it is looked up. */
type List = { readonly byName: ReadonlyMap<string, Price>; readonly globs: readonly Price[] }

/** Lists are made anew only when an operator changes one. */
const lists = new WeakMap<readonly Price[], List>()

const MAY_BE_GLOB = /[*?[{\\!]/

function listOf(prices: readonly Price[]): List {
  const known = lists.get(prices)
  if (known) return known
  const byName = new Map<string, Price>()
  for (const price of prices) if (!byName.has(price.model)) byName.set(price.model, price)
  const list = { byName, globs: prices.filter(({ model }) => MAY_BE_GLOB.test(model)) }
  lists.set(prices, list)
  return list
}

function named({ byName }: List, names: readonly string[]): Price | null {
  for (const name of names) {
    const price = byName.get(name)
    if (price) return price
  }
  return null
}

function fitting({ globs }: List, names: readonly string[]): Price | null {
  for (const price of globs) {
    for (const name of names) if (matchesName(price.model, name)) return price
  }
  return null
}

/**
 * The dearest price of a model that one of the names may stand for at the upstream, which alone knows: `gpt-4o` for
 * `gpt-4o-2024*`, `embed` for `text-embedding-3-large`. The answer then tells which model it was.
 */
function meant({ byName }: List, names: readonly string[]): Price | null {
  let dearest: Price | null = null
  for (const price of byName.values()) {
    if (!names.some((name) => maybeStandsFor(name, price.model))) continue
    if (!dearest || price.input + price.output > dearest.input + dearest.output) dearest = price
  }
  return dearest
}

const VERSION_BEGINS = /^[-@](?:\d{3}|\d\d-\d\d|latest)/
/** A shorter name is a part of too many. */
const FAMILY_CHARS_MIN = 3
const WORD_ENDS = /[-/_.: ]/

/**
 * A model does if its name goes on with a version after this one, or, where this one tells no version, if one of its words
 * begins with it.
 */
function maybeStandsFor(name: string, model: string): boolean {
  if (name.length < FAMILY_CHARS_MIN) return false
  if (model.startsWith(name) && VERSION_BEGINS.test(model.slice(name.length))) return true
  const at = /\d/.test(name) ? -1 : model.indexOf(name)
  return at === 0 || (at > 0 && WORD_ENDS.test(model.charAt(at - 1)))
}

function isForAll({ model }: Price): boolean {
  return model === '*' || model === '**'
}
