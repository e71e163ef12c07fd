/**
 * Whether an error of an upstream is about the operator's credential, or about what the holder has asked for. Only the first
 * is for the operator alone; a holder must be able to bring about none of them. Pure.
 */
import { isObject } from '../../../lib/json/object.ts'

/** What an error says of itself: short words for programs, and sentences for people. */
type Said = { readonly words: readonly string[]; readonly sentences: readonly string[] }

/** `text` is the beginning of the body; empty if it cannot be read. */
export function isAboutCredential(status: number, text: string): boolean {
  const { words, sentences } = read(text)
  if (words.some(isOfRequest)) return false
  if (words.some((word) => OF_KEY.test(word))) return true
  // A 401 is about the one credential that was sent, unless it says otherwise.
  if (status === 401)
    return sentences.some((one) => BAD_KEY.test(one)) || !sentences.some(isSaidOfRequest)
  // Google and xAI call a wrong key a bad request. Anything else in it may be the request's own words.
  if (status === 400) return sentences.some((sentence) => KEY_FIRST.test(sentence))
  return status === 403 && sentences.some((one) => BAD_KEY.test(one) || BAD_ACCOUNT.test(one))
}

const isOfRequest = (word: string) => OF_REQUEST.test(word)
const isSaidOfRequest = (sentence: string) => SAID_OF_REQUEST.test(sentence)

/** Codes, types and reasons of OpenAI, Anthropic, Google, AWS and their like. */
const OF_KEY =
  /^(?:(?:invalid|incorrect|missing|no|expired|revoked|disabled|wrong)_(?:x_)?api_?key|api_?key_\w+|authentication_error|invalid_authentication(?:_error)?|(?:invalid|expired|revoked)_(?:access_)?token|token_(?:expired|invalidated|revoked)|(?:account|organization|user|workspace)_(?:deactivated|disabled|suspended)|billing_not_active|consumer_(?:suspended|invalid)|service_disabled|access_token_\w+|unrecognizedclientexception|expiredtoken(?:exception)?|invalidsignatureexception)$/i

const OF_REQUEST =
  /^(?:mismatched_\w+|(?:\w+_)?model_(?:access_denied|not_found|not_allowed|access)|model_not_\w+|unsupported_country_region_territory|content_\w+|moderation\w*|missing_scopes?|insufficient_(?:permissions|scope)|invalid_organization|invalid_project)$/i

const SAID_OF_REQUEST =
  /missing scopes|insufficient permissions|(?:access|allowed|permission)[^.]{0,40}\bmodels?\b|\bmodels?\b[^.]{0,40}(?:access|allowed|permission)|header should match|country, region|not (?:available|supported) in your (?:country|region)/i

const KEY = `(?:(?:x[-_ ])?api[-_ ]?(?:keys?|tokens?)|(?:access|auth|oauth|bearer|security|authentication|authorization)[-_ ](?:tokens?|keys?)|credentials?)`
const BAD = `(?:not (?:valid|found|active|recogni[sz]ed)|no longer (?:valid|active)|invalid|incorrect|wrong|expired|revoked|disabled|deactivated|suspended|(?:reported as )?leaked|compromised|missing|deleted|unknown|inactive|malformed|banned)`
const IS = `(?: (?:is|was|are|were|has|have|been|seems?|appears?|to|be|currently|provided|used|sent|supplied|given|included|in|the|your|this|request|you))*`

const BAD_KEY = new RegExp(
  // What is left out first, AWS says of a path that there is not.
  String.raw`(?!missing authentication token)\b${BAD}(?: or ${BAD})? (?:(?:openai|anthropic|google|azure|gemini|mistral|cohere) )?${KEY}\b|\b${KEY}${IS} ${BAD}\b|make sure your ${KEY} is valid|unregistered callers`,
  'i',
)

const BAD_ACCOUNT =
  /\b(?:account|organi[sz]ation|workspace|project|consumer)(?: (?:is|was|has|been|currently))* (?:disabled|deactivated|suspended|terminated|banned|denied access|not active|inactive)\b/i

const KEY_FIRST = new RegExp(
  String.raw`^(?:error: )?(?:(?:the|your) )?(?:${BAD} ${KEY}(?: provided| supplied)?(?=[.:]|$)|${KEY}${IS} ${BAD}\b)`,
  'i',
)

/** The longest sentence of an error; what follows may be the request's own words. */
const SENTENCE_CHARS_MAX = 400

function read(text: string): Said {
  const value = parse(text)
  if (value === undefined) return { words: [], sentences: [text.slice(0, SENTENCE_CHARS_MAX)] }
  const parts = partsOf(value)
  const sentences = parts.flatMap((part) =>
    [part['message'], part['detail'], part['error'], part['error_description'], part['msg']].filter(
      isText,
    ),
  )
  const words = parts.flatMap((part) =>
    [part['code'], part['type'], part['__type'], part['status'], part['reason'], part['error'], part['errcode']].filter(isText),
  ) // biome-ignore format: two lists
  return { words, sentences: sentences.map((sentence) => sentence.slice(0, SENTENCE_CHARS_MAX)) }
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? undefined : value
  } catch {
    return undefined
  }
}

/** The objects in which APIs describe what is wrong; never what they say back of the request. */
function partsOf(value: unknown): Record<string, unknown>[] {
  // Google puts the errors of a stream into an array.
  const whole = Array.isArray(value) ? value[0] : value
  if (!isObject(whole)) return []
  const inner = [whole['error'], whole['detail'], whole['fault'], first(whole['errors'])].filter(
    isObject,
  )
  const details = inner.flatMap(({ details: list }) =>
    Array.isArray(list) ? list.slice(0, DETAILS_MAX).filter(isObject) : [],
  )
  return [whole, ...inner, ...details]
}

const DETAILS_MAX = 16

function first(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
