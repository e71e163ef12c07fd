/**
 * Work that is done after its call has been answered, and reported when it is asked for again: background responses, runs
 * and batches. Which calls ask for such work, and what an answer tells of it. Pure; never throws.
 */
import { finder, picker } from '../lib/json/member.ts'
import { isObject, own } from '../lib/json/object.ts'
import { storable } from '../lib/text/storable.ts'

/**
 * What is asked for by its path alone, as the documentation of its API says (November 2026): batches of OpenAI, Anthropic,
 * Gemini, Vertex AI and Mistral, jobs that train, embed or judge, videos.
 */
const DEFERRED_PATHS =
  /(?:^|\/)(?:batches|batch\/jobs|batchPredictionJobs|embed-jobs|fine_tuning\/jobs|evals\/[^/]+\/runs|videos)\/*$|:(?:batchGenerateContent|asyncBatchEmbedContent|predictLongRunning)$/i

/** OpenAI's assistants: what is streamed reports at its end. */
const RUN_PATHS = /(?:^|\/)threads\/(?:[^/]+\/)?runs(?:\/[^/]+\/submit_tool_outputs)?\/*$/i

/** What shows such work later, with its report. */
const OBJECT_PATHS = /(?:^|\/)(?:responses|batches|threads\/[^/]+\/runs)\/[^/]+\/*$/i

const findAsked = finder(['background', 'stream'])

export type DeferredRequest = {
  readonly method: string
  /** Decoded, after the base URL. */
  readonly path: string
  /** Null if there is none, or it is not read. */
  readonly body: string | null
}

/**
 * - `asked`: it asks for work that nothing may be reported of before somebody asks again.
 * - `reported`: it asks for such work and for its events, the last of which reports it.
 * - `shown`: it asks what has become of such work.
 */
export type Deferral = 'asked' | 'reported' | 'shown'

/** Null for a call that has nothing to do with such work. */
export function deferralOf({ method, path, body }: DeferredRequest): Deferral | null {
  if (method === 'GET') return OBJECT_PATHS.test(path) ? 'shown' : null
  if (method === 'HEAD' || method === 'DELETE') return null
  if (DEFERRED_PATHS.test(path)) return 'asked'
  if (RUN_PATHS.test(path)) return isPlainly('stream', body, /^true$/) ? 'reported' : 'asked'
  if (body === null || !SIGN.test(body)) return null
  return isPlainly('background', body, /^(?:false|null)?$/) ? null : 'asked'
}

/** What the name may look like in the text, in any case (U+212A is a K) or with a letter escaped. Most bodies have neither. */
const SIGN = /"bac[k\u212a]ground"|\\u(?:00[4-7]|212a)/i

/** Whether the member has such a value, or none, for whoever reads the body: it stands there once, and in one spelling. */
function isPlainly(name: string, body: string | null, value: RegExp): boolean {
  const found = body === null ? null : findAsked(body)
  if (!found || found.ambiguous) return false
  const { start = 0, end = 0 } = found.members.get(name) ?? {}
  return value.test((body ?? '').slice(start, end))
}

/** Such work, as its upstream shows it. */
export type DeferredObject = {
  readonly id: string
  /** Whether it was work of this kind: a response that was not asked for in the background was charged when it was made. */
  readonly isDeferred: boolean
  readonly isReported: boolean
}

const ID_CHARS_MAX = 256

/** These have more to come. */
const UNFINISHED = /^(?:queued|in_progress|validating|finalizing|cancelling|requires_action)$/

const OBJECT = { id: true, object: true, status: true, background: true, usage: true } as const
const pick = picker({ ...OBJECT, response: OBJECT })

/** Null if the JSON shows none. */
export function readDeferred(json: string): DeferredObject | null {
  const value = pick(json)
  const shown = own(value, 'response') ?? value
  const id = own(shown, 'id')
  const status = own(shown, 'status')
  if (typeof id !== 'string' || id === '' || id.length > ID_CHARS_MAX) return null
  if (typeof status !== 'string') return null
  const isReported = isObject(own(shown, 'usage')) && !UNFINISHED.test(status)
  const isResponse = own(shown, 'object') === 'response' || id.startsWith('resp_')
  return {
    id: storable(id),
    isDeferred: !isResponse || own(shown, 'background') === true,
    isReported,
  }
}
