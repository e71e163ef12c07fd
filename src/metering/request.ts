/**
 * Reads what a JSON request asks a language model for, and makes the two changes that metering and aliases need. They are
 * spliced into the text: everything else reaches the upstream as the client wrote it (docs/adr/0008). Pure; never throws.
 */
import type { Member } from '../lib/json/member.ts'
import { isNamed } from '../lib/json/name.ts'
import { own } from '../lib/json/object.ts'
import { scan } from '../lib/json/scan.ts'
import { type Estimate, type EstimateOptions, estimateOf } from './request/estimate.ts'
import { plainPath } from './request/plain-path.ts'
import { reportsIfAsked } from './request/work.ts'
import { type Read, readMembers } from './request-members.ts'

export type Prepared = {
  /** What to send: the very text if nothing had to be changed. */
  readonly body: string
  /** The model as the client names it. */
  readonly model: string | null
  /** Every model that the body names, for a scope to check: `model`, and OpenRouter's `models` to fall back to. */
  readonly models: readonly string[]
  /** The model as the upstream is asked for it, by its alias if it has one. */
  readonly upstreamModel: string | null
  readonly stream: boolean
  /** Whether the chunk with the usage was our wish and must not reach the client. */
  readonly hideUsage: boolean
  /** Whether the client has said nothing of `stream_options`: what an upstream says of them, it says of ours. */
  readonly addsOption: boolean
  /**
   * Whether an upstream might read the body otherwise than it was read here. Nothing was changed in it then, and what was
   * read must not be relied on: a scope on models has to refuse the call.
   */
  readonly ambiguous: boolean
  readonly estimate: Estimate
}

export type PrepareOptions = EstimateOptions & {
  /** Names that clients use for models, and what the upstream is asked for. */
  readonly aliases: Readonly<Record<string, string>>
  /** Whether the upstream may be asked for usage of this model: some refuse every option that they do not know. */
  readonly asks?: (model: string | null) => boolean
}

export function prepareRequest(text: string, options: PrepareOptions): Prepared {
  const { path, outputDefault, aliases, asks = always } = options
  const asked = readMembers(text)
  const { request, member, ambiguous } = asked
  const estimate = estimateOf(text, options, asked)
  const models = readModels(request)
  const model = models[0] ?? null
  const stream = Boolean(own(request, 'stream'))
  const read = { model, models, upstreamModel: model, stream, estimate }
  if (ambiguous || !areModelsPlain(request)) {
    const untouched = { body: text, hideUsage: false, addsOption: false }
    return { ...read, ...untouched, ambiguous: text.trim() !== '' }
  }

  const renaming = rename(request, member, aliases)
  const upstreamModel = model === null ? null : aliasOf(model, aliases)
  const reports = outputDefault !== null && stream && reportsIfAsked(plainPath(path))
  const mayAsk = reports && asks(upstreamModel)
  const option = mayAsk ? member('stream_options') : undefined
  const asking = mayAsk ? askForUsage(text, option, own(request, 'stream_options')) : []
  return {
    ...read,
    body: splice(text, [...renaming, ...asking]),
    upstreamModel,
    hideUsage: asking.length > 0,
    addsOption: asking.length > 0 && !option,
    ambiguous: false,
  }
}

const always = () => true

type Aliases = PrepareOptions['aliases']

/** What the upstream calls the model. */
export function aliasOf(model: string, aliases: Aliases): string {
  return Object.hasOwn(aliases, model) ? (aliases[model] ?? model) : model
}

/** Writes the upstream's own names in the place of aliases. */
function rename(request: object | null, member: Read['member'], aliases: Aliases): Edit[] {
  const renamed = (value: unknown) => typeof value === 'string' && aliasOf(value, aliases) !== value
  const edit = (name: string, value: unknown): Edit[] => {
    const place = member(name)
    return place ? [{ start: place.start, end: place.end, text: JSON.stringify(value) }] : []
  }
  const model = own(request, 'model')
  const fallbacks = own(request, 'models')
  return [
    ...(renamed(model) ? edit('model', aliasOf(String(model), aliases)) : []),
    ...(Array.isArray(fallbacks) && fallbacks.some(renamed)
      ? edit(
          'models',
          fallbacks.map((name) => aliasOf(String(name), aliases)),
        )
      : []),
  ]
}

function readModels(request: object | null): string[] {
  const fallbacks = own(request, 'models')
  return [own(request, 'model'), ...(Array.isArray(fallbacks) ? fallbacks : [])].filter(
    (name) => typeof name === 'string',
  )
}

/** Whether models are named by nothing but strings: what else an upstream makes a name of is anybody's guess. */
function areModelsPlain(request: object | null): boolean {
  const model = own(request, 'model') ?? ''
  const fallbacks = own(request, 'models') ?? []
  return (
    typeof model === 'string' &&
    Array.isArray(fallbacks) &&
    fallbacks.every((name) => typeof name === 'string')
  )
}

type Edit = { readonly start: number; readonly end: number; readonly text: string }

/** What makes the upstream report; nothing if the client has asked for it, or for something that cannot be. */
function askForUsage(text: string, member: Member | undefined, options: unknown): Edit[] {
  const asked = '"include_usage":true'
  if (!member) {
    const start = text.indexOf('{') + 1
    return [{ start, end: start, text: `"stream_options":{${asked}},` }]
  }
  const { start, end } = member
  if (options === null) return [{ start, end, text: `{${asked}}` }]
  if (typeof options !== 'object' || Array.isArray(options) || own(options, 'include_usage'))
    return []
  const inner = text.slice(start, end)
  const refusals: Edit[] = []
  scan(inner, (from, to, _, nameStart, nameEnd) => {
    if (isNamed(inner, nameStart, nameEnd, 'include_usage'))
      refusals.push({ start: start + from, end: start + to, text: 'true' })
  })
  if (refusals.length > 0) return refusals
  const comma = Object.keys(options ?? {}).length > 0 ? ',' : ''
  return [{ start: start + 1, end: start + 1, text: asked + comma }]
}

function splice(text: string, edits: readonly Edit[]): string {
  return edits
    .toSorted((a, b) => b.start - a.start)
    .reduce((done, edit) => done.slice(0, edit.start) + edit.text + done.slice(edit.end), text)
}
