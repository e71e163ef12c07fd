/**
 * Lists of models, and single ones, as a key may see them: only the models that it may use, and the names that the operator
 * gives to some. What cannot be read is shown empty to a key that is restricted, and as it is to any other.
 */

import { isObject } from '../../lib/json/object.ts'
import { scan } from '../../lib/json/scan.ts'
import type { Tap } from '../../metering/answer/tap.ts'
import { NO_REPORT } from '../../metering/reckon.ts'
import { modelsInPath } from '../../metering/request/plain-path.ts'
import { isModelAllowed } from '../request/scope.ts'

/** The longest lists there are have some thousand models of a few hundred bytes. */
const LIST_BYTES_MAX = 4 * 1024 * 1024
/** Some dozens for each of them. */
const LIST_VALUES_MAX = 100_000

const EMPTY_LIST = '{"object":"list","data":[]}'

/**
 * Where lists stand: `/models` of OpenAI, Anthropic, Google and most others, wherever it is mounted; what Azure, Bedrock and
 * Ollama have; single models below `/models/`.
 */
const PATHS = /\/(?:(?:tuned|foundation-)?models(?:\/.+)?|deployments|engines|api\/tags|api\/ps)$/i

/** `path` is in its plain spelling. */
export function isAboutModels(path: string): boolean {
  return PATHS.test(path)
}

/** What a key may see. */
export type View = {
  /** Absent is everything. */
  readonly models: readonly string[] | undefined
  readonly aliases: Readonly<Record<string, string>>
  /** The model that was asked about by its name, which the key may see; null if all of them were. */
  readonly asked: string | null
}

/** `path` is that of the call. */
export function viewOf(path: string, view: Omit<View, 'asked'>): View {
  return { ...view, asked: modelsInPath(path)[0] ?? null }
}

export function createModelListTap(view: View): Tap {
  let chunks: Uint8Array[] = []
  let bytes = 0
  return {
    alters: true,
    pass(chunk) {
      bytes += chunk.byteLength
      if (bytes <= LIST_BYTES_MAX) {
        chunks.push(chunk)
        return null
      }
      if (view.models) return null
      const passed = [...chunks, chunk]
      chunks = []
      return Buffer.concat(passed)
    },
    flush() {
      if (bytes > LIST_BYTES_MAX) return view.models ? Buffer.from(EMPTY_LIST) : null
      const whole = Buffer.concat(chunks)
      const text = whole.toString()
      const shown = filterModels(text, view)
      // Bytes that are no text stay what they are.
      return shown === text ? whole : Buffer.from(shown)
    },
    report: () => NO_REPORT,
  }
}

/** The list with the aliases in front, and without what the key may not use; a single model by the name it was asked by. */
export function filterModels(text: string, view: View): string {
  const value = parse(text)
  const shown = value === undefined ? undefined : filtered(value, view)
  if (shown === undefined) return view.models ? EMPTY_LIST : text
  return JSON.stringify(shown)
}

function parse(text: string): unknown {
  // Before it is built, which takes long for many values.
  if (scan(text) > LIST_VALUES_MAX) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What lists are called: by OpenAI and Anthropic, by Google, Ollama and Cohere, by Bedrock, by Google again. */
const LISTS = ['data', 'models', 'modelSummaries', 'tunedModels', 'publisherModels']

/** Undefined if nothing in it can be taken for a list of models, or for the one that was asked about. */
function filtered(value: unknown, view: View): unknown {
  if (Array.isArray(value)) return filteredList(value, view)
  if (!isObject(value)) return undefined
  const lists = LISTS.filter((name) => Array.isArray(value[name]))
  if (lists.length > 0) {
    const changed = lists.map((name) => [name, filteredList(value[name] as unknown[], view)])
    return ofList({ ...value, ...Object.fromEntries(changed) })
  }
  const { asked, aliases } = view
  if (asked === null) return undefined
  const model = Object.hasOwn(aliases, asked) ? aliases[asked] : undefined
  return model === undefined ? value : withName(value, bare(model), asked)
}

/** Anthropic says which are the first and the last, for the next page: these may be models that the key does not see. */
function ofList(list: Record<string, unknown>): Record<string, unknown> {
  const { data, first_id, last_id } = list
  if (!Array.isArray(data) || (first_id === undefined && last_id === undefined)) return list
  const idOf = (entry: unknown) => (isObject(entry) ? (entry['id'] ?? null) : null)
  return { ...list, first_id: idOf(data[0]), last_id: idOf(data.at(-1)) }
}

function filteredList(list: readonly unknown[], { models, aliases }: View): unknown[] {
  const named = Object.entries(aliases).flatMap(([alias, model]) => {
    const entry = list.find((one) => bare(nameOf(one) ?? '') === bare(model))
    return entry === undefined ? [] : [withName(entry, bare(model), alias)]
  })
  return [...named, ...list].filter((entry) => isAllowedEntry(entry, models))
}

/** Where an entry names its model: what comes first is what it is asked by. */
const NAMES = ['id', 'name', 'model', 'modelId', 'slug', 'baseModelId']

function nameOf(entry: unknown): string | null {
  if (typeof entry === 'string') return entry
  if (!isObject(entry)) return null
  const name = NAMES.map((member) => entry[member]).find((value) => value !== undefined)
  return typeof name === 'string' ? name : null
}

/** An entry that names nothing is shown to those alone who see everything. */
function isAllowedEntry(entry: unknown, models: readonly string[] | undefined): boolean {
  if (models === undefined) return true
  const name = nameOf(entry)
  return name !== null && isModelAllowed(models, name)
}

const PREFIX = /^(?:tuned)?models\//i

function bare(name: string): string {
  return name.replace(PREFIX, '')
}

/** The entry under another name, with Google's prefix if it has that. */
function withName(entry: unknown, from: string, to: string): unknown {
  if (typeof entry === 'string') return renamed(entry, from, to)
  if (!isObject(entry)) return entry
  const changed = NAMES.map((member) => [member, entry[member]] as const).flatMap(
    ([member, name]) => (typeof name === 'string' ? [[member, renamed(name, from, to)]] : []),
  )
  return { ...entry, ...Object.fromEntries(changed) }
}

function renamed(name: string, from: string, to: string): string {
  return bare(name) === from ? (PREFIX.exec(name)?.[0] ?? '') + to : name
}
