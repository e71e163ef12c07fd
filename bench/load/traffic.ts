/** The call that every client makes, one short question to a chat API, and what the API answers. */
import type { Server } from '../workspace.ts'
import type { Load } from './wrk.ts'

/** About two thousand calls a second on any machine that is not slow: an eighth of what one takes. */
export const MODERATE: Omit<Load, 'seconds'> = { connections: 32, pauseMs: 15 }

export const PATH = '/v1/chat/completions'

const QUESTION = {
  model: 'deepseek-chat',
  messages: [{ role: 'user', content: 'What is a quota?' }],
}

export const BODY = JSON.stringify(QUESTION)

export const ANSWER = JSON.stringify({
  id: 'chatcmpl-9kq3WbT1uJ4oLr0ZyXc5',
  object: 'chat.completion',
  created: 1_767_225_600,
  model: 'deepseek-chat',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'A quota is a promise with a number in it.' },
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 21, completion_tokens: 11, total_tokens: 32 },
})

/** The same question, to be answered by a stream that reports its usage. */
export const STREAMED_BODY = JSON.stringify({
  ...QUESTION,
  stream: true,
  stream_options: { include_usage: true },
})

/** As many events as a short answer has, each in a piece of its own. */
const EVENTS = 50

export const EVENT_PIECES: readonly string[] = [
  ...Array.from({ length: EVENTS }, (_, index) =>
    event({ choices: [{ index: 0, delta: { content: ` word-${index}` }, finish_reason: null }] }),
  ),
  event({
    choices: [],
    usage: { prompt_tokens: 21, completion_tokens: EVENTS, total_tokens: 21 + EVENTS },
  }),
  'data: [DONE]\n\n',
]

function event(members: object): string {
  const { id, created, model } = JSON.parse(ANSWER) as Record<string, unknown>
  const chunk = { id, object: 'chat.completion.chunk', created, model, ...members }
  return `data: ${JSON.stringify(chunk)}\n\n`
}

/** The same call through `POST /proxy`. */
export function envelope(upstream: Server): { path: string; body: string } {
  const endpoint = upstream.url + PATH
  return { path: '/proxy', body: JSON.stringify({ endpoint, method: 'POST', body: QUESTION }) }
}
