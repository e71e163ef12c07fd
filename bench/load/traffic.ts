/** The call that every client makes, one short question to a chat API, and what the API answers. */
import type { Server } from '../workspace.ts'

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

/** The same call through `POST /proxy`. */
export function envelope(upstream: Server): { path: string; body: string } {
  const endpoint = upstream.url + PATH
  return { path: '/proxy', body: JSON.stringify({ endpoint, method: 'POST', body: QUESTION }) }
}
