/**
 * `GET {mount}/models` as a key may see it: only the models that it may use, and the names that the operator gives to
 * some. A list that cannot be read is shown empty rather than in full.
 */

import { isObject } from '../../lib/json/object.ts'
import { scan } from '../../lib/json/scan.ts'
import { matchesName } from '../../lib/text/glob.ts'
import { NO_REPORT, type Tap } from '../../metering/answer/tap.ts'

/** The longest lists there are have some thousand models of a few hundred bytes. */
const LIST_BYTES_MAX = 4 * 1024 * 1024
/** Some dozens for each of them. */
const LIST_VALUES_MAX = 100_000

const EMPTY_LIST = '{"object":"list","data":[]}'

export function createModelListTap(
  models: readonly string[] | undefined,
  aliases: Readonly<Record<string, string>>,
): Tap {
  const chunks: Uint8Array[] = []
  let bytes = 0
  return {
    alters: true,
    pass(chunk) {
      bytes += chunk.byteLength
      if (bytes <= LIST_BYTES_MAX) chunks.push(chunk)
      return null
    },
    flush() {
      const text = bytes <= LIST_BYTES_MAX ? Buffer.concat(chunks).toString() : ''
      return Buffer.from(filterModels(text, models, aliases))
    },
    report: () => NO_REPORT,
  }
}

/** The list with the aliases in front, and without what the key may not use. */
export function filterModels(
  text: string,
  models: readonly string[] | undefined,
  aliases: Readonly<Record<string, string>>,
): string {
  const list = parseList(text)
  if (!list) return EMPTY_LIST
  const { data } = list
  const named = Object.entries(aliases).flatMap(([alias, model]) => {
    const entry = data.find(({ id }) => id === model)
    return entry ? [{ ...entry, id: alias }] : []
  })
  const shown = [...named, ...data].filter(
    ({ id }) => models === undefined || models.some((glob) => matchesName(glob, id)),
  )
  return JSON.stringify({ ...list, data: shown })
}

type ModelList = { readonly data: readonly { readonly id: string }[] }

function parseList(text: string): ModelList | null {
  // Before it is built, which takes long for many values.
  if (scan(text) > LIST_VALUES_MAX) return null
  try {
    const value: unknown = JSON.parse(text)
    return isList(value) ? value : null
  } catch {
    return null
  }
}

function isList(value: unknown): value is ModelList {
  return (
    isObject(value) &&
    Array.isArray(value['data']) &&
    value['data'].every((entry) => isObject(entry) && typeof entry['id'] === 'string')
  )
}
