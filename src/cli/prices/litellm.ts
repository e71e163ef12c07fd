/**
 * Reads a price table of the form that LiteLLM publishes (model_prices_and_context_window.json): an object with an entry
 * for each model, in decimals of a dollar. A model is taken whole and exactly, or left out with the reason. Pure.
 */
import { PRICE_MAX } from '../../domain/upstream/price.ts'
import { scaled } from '../../lib/text/decimal.ts'
import { matchesName } from '../../lib/text/glob.ts'
import { printable } from '../../lib/text/printable.ts'
import { Misuse } from '../session.ts'
import type { ApiPrice } from './money.ts'

export type LeftOut = { readonly model: string; readonly reason: string }
export type Table = { readonly prices: readonly ApiPrice[]; readonly leftOut: readonly LeftOut[] }

export type Choice = {
  /** The `litellm_provider` of the entries to take. */
  readonly provider?: string | undefined
  /** A glob on the names. */
  readonly match?: string | undefined
  /** Whether names lose the name of their provider, as `groq/` of `groq/llama-3.3-70b-versatile`. */
  readonly stripPrefix?: boolean | undefined
}

/** Of a token: a price is for a million of them, in millionths. */
const TOKEN_POWER = 12
/** Of anything else. */
const THING_POWER = 6

const TOKEN_KEYS: Readonly<Record<string, string>> = {
  input_cost_per_token: 'input',
  cache_read_input_token_cost: 'cached_input',
  cache_creation_input_token_cost: 'cache_write_5m',
  cache_creation_input_token_cost_above_1hr: 'cache_write_1h',
  output_cost_per_token: 'output',
  output_cost_per_reasoning_token: 'reasoning',
  input_cost_per_audio_token: 'audio_input',
  output_cost_per_audio_token: 'audio_output',
  input_cost_per_image_token: 'image_input',
  output_cost_per_image_token: 'image_output',
}
/** Some mean what is counted only in these modes, where a call does nothing else. */
const THING_KEYS: Readonly<Record<string, readonly [member: string, modes?: RegExp]>> = {
  input_cost_per_request: ['per_call'],
  input_cost_per_query: ['per_call'],
  output_cost_per_image: ['per_image'],
  input_cost_per_image: ['per_image', /^image_/],
  input_cost_per_second: ['per_second', /^audio_/],
  output_cost_per_second: ['per_second', /^audio_/],
}
/** Other tiers of service, batches, tools and storage: no part of a plain call. And what is said twice. */
const BESIDE =
  /_(?:flex|priority|batch|batches|dbu)(?:_|$)|^(?:search_context|web_search|google_maps|code_interpreter|file_search|vector_store|computer_use|prompt_caching|regional|fast|cache_creation_input_audio)_|_cache_hit$|^cost_per_session$/
const LONG = /_above_(\d{1,6})k_tokens$/
const NAME = new RegExp(printable(1, 200, '(?!!)'), 'u')
/** The entry that explains the form. */
const SAMPLE = 'sample_spec'

/** Throws `Misuse` if the text is no such table. */
export function readTable(text: string, path: string, choice: Choice): Table {
  const prices = new Map<string, ApiPrice>()
  const leftOut: LeftOut[] = []
  for (const [key, entry] of entriesOf(text, path)) {
    const provider = typeof entry['litellm_provider'] === 'string' ? entry['litellm_provider'] : ''
    if (choice.provider !== undefined && provider !== choice.provider) continue
    const isPrefixed = choice.stripPrefix && provider !== '' && key.startsWith(`${provider}/`)
    const model = isPrefixed ? key.slice(provider.length + 1) : key
    if (choice.match !== undefined && !matchesName(choice.match, model)) continue
    const price = priceOf(model, entry)
    const before = prices.get(model)
    if (typeof price === 'string') leftOut.push({ model: key, reason: price })
    else if (!before) prices.set(model, price)
    else if (!Bun.deepEquals(before, price))
      leftOut.push({ model: key, reason: 'another entry gives its name another price' })
  }
  return { prices: [...prices.values()], leftOut }
}

type Entry = Readonly<Record<string, unknown>>

function entriesOf(text: string, path: string): (readonly [string, Entry])[] {
  const value = parseExactly(text, path)
  const entries = isObject(value) ? Object.entries(value).filter(([key]) => key !== SAMPLE) : []
  const found = entries.flatMap(([key, entry]) => (isObject(entry) ? [[key, entry] as const] : []))
  if (found.length > 0 && found.length === entries.length) return found
  throw new Misuse(
    `${path} is not a price table: it must hold one JSON object with an object for each model.`,
  )
}

/** Numbers stay the texts that they are written as. */
function parseExactly(text: string, path: string): unknown {
  try {
    return JSON.parse(text, (_, value: unknown, context?: { readonly source?: string }) =>
      typeof value === 'number' ? (context?.source ?? String(value)) : value,
    )
  } catch {
    throw new Misuse(`${path} is not valid JSON.`)
  }
}

function isObject(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The price, or why there is none. */
function priceOf(model: string, entry: Entry): ApiPrice | string {
  if (!NAME.test(model))
    return 'its name is not 1 to 200 printable characters without ! at its beginning'
  const mode = typeof entry['mode'] === 'string' ? entry['mode'] : ''
  const found: Found = { tokens: {}, long: {}, things: {}, above: null }
  for (const [key, value] of Object.entries(entry)) {
    const problem = readMember(key, value, mode, found)
    if (problem !== null) return problem
  }
  return assemble(model, mode, found)
}

type Members = Record<string, number>
type Found = {
  readonly tokens: Members
  readonly long: Members
  readonly things: Members
  above: number | null
}

/** Why the member keeps the model from having a price; null if it does not. */
function readMember(key: string, value: unknown, mode: string, found: Found): string | null {
  if (key === 'tiered_pricing') return 'its price depends on the length in more than two steps'
  if (!/(?:^|_)cost(?:_|$)/.test(key) || BESIDE.test(key) || value === null) return null
  const above = LONG.exec(key)?.[1]
  const base = above === undefined ? key : key.replace(LONG, '')
  const tokens = TOKEN_KEYS[base]
  const [member, modes = /^/] = THING_KEYS[base] ?? []
  const thing = modes.test(mode) ? member : undefined
  const amount =
    typeof value === 'string'
      ? scaled(value, tokens === undefined ? THING_POWER : TOKEN_POWER)
      : null
  if (amount === 0 && tokens === undefined) return null
  if (tokens === undefined && (thing === undefined || above !== undefined))
    return `${key} is nothing that is counted here`
  if (amount === 'inexact')
    return `${key} of ${value} is finer than a millionth${tokens === undefined ? '' : ' for a million tokens'}`
  if (amount === 'large' || (amount ?? 0) > PRICE_MAX) return `${key} is too large`
  if (amount === null) return `${key} is not a decimal number`
  if (above !== undefined) {
    if (found.above !== null && found.above !== Number(above))
      return 'it has prices from two lengths on'
    found.above = Number(above)
  }
  return put(
    above === undefined ? (tokens ? found.tokens : found.things) : found.long,
    tokens ?? thing ?? '',
    amount,
    key,
  )
}

function put(members: Members, name: string, amount: number, key: string): string | null {
  if (members[name] !== undefined && members[name] !== amount)
    return `${key} says otherwise than another member`
  members[name] = amount
  return null
}

/** Above a length, what has no price of its own there keeps the one below. */
function assemble(
  model: string,
  mode: string,
  { tokens, long, things, above }: Found,
): ApiPrice | string {
  if (Object.keys({ ...tokens, ...things }).length === 0) return 'the table has no price for it'
  // The same images, said in two ways.
  if (tokens['image_output'] !== undefined) delete things['per_image']
  const { input = tokens['image_input'] ?? tokens['audio_input'] ?? 0 } = tokens
  const { output = tokens['image_output'] ?? tokens['audio_output'] } = tokens
  if (output === undefined && /^(?:chat|completion|responses)$/.test(mode))
    return 'the table has no price for its output'
  const base = { ...tokens, input, output: output ?? 0 }
  return {
    model,
    ...base,
    ...(above !== null && { long_context: { above: above * 1000, ...base, ...long } }),
    ...things,
  }
}
