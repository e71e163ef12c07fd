/** The call that every client makes: one short question to a chat API. */
import type { Server } from './workspace.ts'

export const PATH = '/v1/chat/completions'

const QUESTION = {
  model: 'deepseek-chat',
  messages: [{ role: 'user', content: 'What is a quota?' }],
}

export const BODY = JSON.stringify(QUESTION)

/** The same call through `POST /proxy`. */
export function envelope(upstream: Server): { path: string; body: string } {
  const endpoint = upstream.url + PATH
  return { path: '/proxy', body: JSON.stringify({ endpoint, method: 'POST', body: QUESTION }) }
}
