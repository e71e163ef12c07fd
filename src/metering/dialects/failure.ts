/**
 * Finds out whether an answer says that the work has failed, though its status says 200: an error instead of an answer, or
 * an event of a stream. Only members at the places of the APIs count, and an error whose members are all empty is none:
 * relays write one into every answer. Pure.
 *
 * Sources are those of the dialects, and https://openrouter.ai/docs/api-reference/errors-and-debugging,
 * https://platform.minimax.io/docs/api-reference/errorcode, https://help.aliyun.com/zh/model-studio/error-code,
 * https://cloud.baidu.com/doc/WENXINWORKSHOP/s/tlmyncueh,
 * https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html (2026-11-28)
 */
import { ITEMS, type Shape } from '../../lib/json/member.ts'
import { isObject, own } from '../../lib/json/object.ts'
import { items } from './dialect.ts'

/** Events of Bedrock's streams, named by what went wrong. */
const EXCEPTIONS = [
  'internalServerException',
  'modelStreamErrorException',
  'modelTimeoutException',
  'serviceUnavailableException',
  'throttlingException',
  'validationException',
] as const

export const FAILURE_SHAPE: Shape = {
  type: true,
  error: true,
  response: { status: true, error: true },
  interaction: { status: true },
  choices: { [ITEMS]: { error: true } },
  x_groq: { error: true },
  delta: { error: true, finish_reason: true },
  base_resp: { status_code: true },
  error_code: true,
  success: true,
  code: true,
  request_id: {},
  output: {},
  usage: true,
  custom_id: true,
  ...Object.fromEntries(EXCEPTIONS.map((name) => [name, {}])),
}

/** `code` is for DashScope, whose errors have nothing else; it never stands in an event that is no error. */
export const FAILURE_SIGNS = ['error', 'base_resp', 'error_code', 'success', 'code', ...EXCEPTIONS]

/** By member: whether it says that the answer has failed. */
const TESTS = new Map<string, (value: unknown, answer: Record<string, unknown>) => boolean>([
  ['error', isError],
  ['type', isFailedEvent],
  ['response', isFailedPart],
  ['interaction', isFailedPart],
  ['delta', isFailedPart],
  ['x_groq', isFailedPart],
  ['choices', hasFailedChoice],
  ['base_resp', (value) => isCode(own(value, 'status_code'))],
  ['error_code', isCode],
  ['success', (value) => value === false],
  ['code', isDashScope],
  ...EXCEPTIONS.map((name) => [name, () => true] as const),
])

/** Members of an answer of which one is there whenever it has failed. */
export const FAILURE_MEMBERS = [...TESTS.keys()]

export function isFailure(answer: Record<string, unknown>): boolean {
  for (const name in answer) {
    if (!TESTS.get(name)?.(answer[name], answer)) continue
    // A line of a batch's results: others may be well.
    return typeof own(answer, 'custom_id') !== 'string'
  }
  return false
}

function isFailedEvent(type: unknown): boolean {
  return type === 'error' || type === 'response.failed'
}

function isFailedPart(part: unknown): boolean {
  if (!isObject(part)) return false
  return (
    isError(own(part, 'error')) ||
    own(part, 'status') === 'failed' ||
    own(part, 'finish_reason') === 'ERROR'
  )
}

function hasFailedChoice(choices: unknown): boolean {
  if (!Array.isArray(choices) || choices.length === 0) return false
  return items(choices).some((choice) => isError(own(choice, 'error')))
}

function isError(error: unknown): boolean {
  if (error === undefined || error === null) return false
  if (!isObject(error)) return typeof error === 'string' ? error !== '' : error === true
  return Object.values(error).some((value) => !isEmpty(value))
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || value === 0 || value === false
}

function isCode(code: unknown): boolean {
  return typeof code === 'number' ? code !== 0 : typeof code === 'string' && !/^0*$/.test(code)
}

/** Its answers name the request, and have `code` without anything else if it could not be done. */
function isDashScope(code: unknown, answer: Record<string, unknown>): boolean {
  const isNamed = typeof code === 'string' && code !== '' && Object.hasOwn(answer, 'request_id')
  return isNamed && !isObject(own(answer, 'usage')) && !Object.hasOwn(answer, 'output')
}
