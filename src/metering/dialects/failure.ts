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
import { at, items } from './dialect.ts'

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
export const FAILURE_SIGNS = [
  'error',
  'base_resp',
  'error_code',
  'success',
  'code',
  ...EXCEPTIONS,
]

export function isFailure(answer: unknown): boolean {
  if (!isObject(answer)) return false
  // A line of a batch's results: others may be well.
  if (typeof own(answer, 'custom_id') === 'string') return false
  const type = own(answer, 'type')
  return (
    type === 'error' ||
    type === 'response.failed' ||
    at(answer, ['response', 'status']) === 'failed' ||
    at(answer, ['interaction', 'status']) === 'failed' ||
    at(answer, ['delta', 'finish_reason']) === 'ERROR' ||
    errors(answer).some(isError) ||
    isCode(at(answer, ['base_resp', 'status_code'])) ||
    isCode(own(answer, 'error_code')) ||
    own(answer, 'success') === false ||
    isDashScope(answer) ||
    EXCEPTIONS.some((name) => Object.hasOwn(answer, name))
  )
}

function errors(answer: Record<string, unknown>): readonly unknown[] {
  return [
    own(answer, 'error'),
    at(answer, ['response', 'error']),
    at(answer, ['x_groq', 'error']),
    at(answer, ['delta', 'error']),
    ...items(own(answer, 'choices')).map((choice) => own(choice, 'error')),
  ]
}

function isError(error: unknown): boolean {
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
function isDashScope(answer: Record<string, unknown>): boolean {
  const code = own(answer, 'code')
  const isNamed = typeof code === 'string' && code !== '' && Object.hasOwn(answer, 'request_id')
  return isNamed && !isObject(own(answer, 'usage')) && !Object.hasOwn(answer, 'output')
}
