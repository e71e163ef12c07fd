/**
 * Reads what matters of a form with files (RFC 7578): the model, and how much there is to do. It copies no file. A form that
 * parsers could read in two ways is found out. Pure; never throws.
 */
import { BYTES_PER_TOKEN, count } from '../count.ts'
import type { Estimate } from './estimate.ts'
import { fileTokens } from './media.ts'

export type Form = {
  readonly model: string | null
  /** Where the model stands, to be replaced by another name. */
  readonly place: { readonly start: number; readonly end: number } | null
  /** As many answers as it asks for. */
  readonly answers: number
  /** Tokens that are expected to be read. */
  readonly input: number
  /** Whether an upstream might read another model than was read here. */
  readonly ambiguous: boolean
}

type Part = {
  readonly name: string
  readonly isFile: boolean
  readonly type: string
  readonly start: number
  readonly end: number
}

/** As clients write it: whatever else RFC 7578 allows, some parsers read in another way. */
const DISPOSITION = new RegExp(
  [
    /^content-disposition:[ \t]*form-data;[ \t]*name=(?:"([^"\\]*)"|([\w.-]+))/,
    /(?:;[ \t]*filename=(?:"(?:[^"\\]|\\.)*"|[^\s";]+)(?:;[ \t]*filename\*=[^\s";]*)?)?[ \t]*$/,
  ]
    .map(({ source }) => source)
    .join(''),
  'i',
)
const TYPE = /^content-type:[ \t]*([^\s;]*)/i
/** RFC 2046 section 5.1.1. */
const BOUNDARY = /;[ \t]*boundary=(?:"([^"\\]{1,70})"|([^\s;",]{1,70}))[ \t]*(?=;|$)/gi

/** No form of these APIs has more fields. */
const PARTS_MAX = 1000
const HEAD_BYTES_MAX = 4096
/** Longer than names of models are. */
const VALUE_BYTES_MAX = 1000

/** Null if it is no form, or one that nobody need read as it is read here. */
export function readForm(body: Buffer, contentType: string): Form | null {
  const boundaries = [...contentType.matchAll(BOUNDARY)]
  const boundary = boundaries[0]?.[1] ?? boundaries[0]?.[2]
  if (boundary === undefined || boundaries.length > 1) return null
  const parts = partsOf(body, boundary)
  return parts && formOf(body, parts)
}

function formOf(body: Buffer, parts: readonly Part[]): Form {
  const textOf = ({ start, end }: Part) =>
    body.toString('utf8', start, Math.min(end, start + VALUE_BYTES_MAX))
  const models = parts.filter(({ name }) => MODEL.test(name))
  const [model = null] = models
  const isPlain =
    model === null ||
    (model.name === 'model' && !model.isFile && model.end - model.start <= VALUE_BYTES_MAX)
  const answers = parts
    .filter(({ name }) => name === 'n')
    .map((part) => count(Number(textOf(part))))
  const input = parts.reduce(
    (sum, { isFile, type, start, end }) =>
      sum + (isFile ? fileTokens(type, end - start) : Math.ceil((end - start) / BYTES_PER_TOKEN)),
    0,
  )
  return {
    model: model && isPlain ? textOf(model) : null,
    place: model && { start: model.start, end: model.end },
    answers: Math.max(1, ...answers.map((number) => number ?? 1)),
    input,
    ambiguous: models.length > 1 || !isPlain,
  }
}

/** What some parser may take for `model`, or for a list of them. */
const MODEL = /^\s*models?\s*(?:\[.*)?$/i

function partsOf(body: Buffer, boundary: string): Part[] | null {
  const delimiter = Buffer.from(`\r\n--${boundary}`)
  const first = delimiter.subarray(2)
  if (!body.subarray(0, first.length).equals(first)) return null
  const parts: Part[] = []
  let at = first.length
  while (parts.length <= PARTS_MAX) {
    if (body[at] === DASH && body[at + 1] === DASH) return parts
    if (body[at] !== CR || body[at + 1] !== LF) return null
    const headEnd = body.indexOf('\r\n\r\n', at)
    if (headEnd < 0 || headEnd - at > HEAD_BYTES_MAX) return null
    const start = headEnd + 4
    // The end of an empty value is the end of its head as well.
    const end = body.indexOf(delimiter, start - 2)
    if (end < 0) return null
    const part = partOf(body.toString('latin1', at + 2, headEnd))
    if (!part) return null
    parts.push({ ...part, start, end: Math.max(start, end) })
    at = end + delimiter.length
  }
  return null
}

const DASH = 0x2d
const CR = 0x0d
const LF = 0x0a

function partOf(head: string): Pick<Part, 'name' | 'isFile' | 'type'> | null {
  const lines = head.split('\r\n')
  const dispositions = lines.filter((line) => /^content-disposition/i.test(line))
  const [disposition = ''] = dispositions
  const [, quoted, token] = DISPOSITION.exec(disposition) ?? []
  const name = quoted ?? token
  // A line that begins with a space goes on with the one before; a coding changes what the value is.
  const isOdd = lines.some((line) => ODD.test(line))
  if (name === undefined || dispositions.length > 1 || isOdd) return null
  const type = lines.map((line) => TYPE.exec(line)?.[1]).find((found) => found !== undefined) ?? ''
  return { name, isFile: /;[ \t]*filename/i.test(disposition), type }
}

const ODD = /^[ \t]|[\r\n]|^content-transfer-encoding:(?![ \t]*(?:7bit|8bit|binary)[ \t]*$)/i

/** What a form is expected to make a model read and write. */
export function formEstimate({ input, answers }: Form, outputDefault: number): Estimate {
  return { input, output: outputDefault * Math.min(answers, ANSWERS_MAX) }
}

/** Sums stay exact. */
const ANSWERS_MAX = 1_000_000
