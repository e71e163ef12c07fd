/** An OpenAI-shaped API behind mounts of a server, and clients of the unchanged SDK for either of them. */
import OpenAI from 'openai'
import type { ApiServer } from './api-server.ts'
import { addUpstream } from './named-upstream.ts'
import { OPENAI_CREDENTIAL, startOpenAi } from './openai-server.ts'
import { issueKey, startServer, type TestServer } from './server.ts'

/** Micro-units for a million tokens. */
const PRICE = { model: '*', input: 2_500_000, cached_input: 1_250_000, output: 10_000_000 }

/** Limits that no test comes near to. */
export const LIMITS = [
  { name: 'tokens', unit: 'tokens', amount: 1_000_000, window: 'lifetime' },
  { name: 'money', unit: 'cost', amount: 1_000_000, window: 'lifetime' },
]

export type Holder = {
  readonly id: string
  readonly client: OpenAI
  /** How many requests the client has sent. */
  sent(): number
}

export type OpenAiMount = {
  readonly api: ApiServer
  readonly server: TestServer
  /** Talks to the API itself. */
  readonly direct: OpenAI
  /**
   * Somebody with a key, and a client for one of the mounts: `/v1`, `/named` with an alias for a model, or `/mistaken` with
   * a credential that the API refuses.
   */
  holder(fields?: Record<string, unknown>, mount?: string): Promise<Holder>
}

export async function startOpenAiMount(): Promise<OpenAiMount> {
  const api = startOpenAi()
  const server = await startServer()
  const base_url = `${api.url}/v1`
  const shared = { base_url, credential: { secret: OPENAI_CREDENTIAL }, prices: [PRICE] }
  const costs = [{ path: '/images/**', requests: 10 }]
  await addUpstream(server, { name: 'openai', mount: '/v1', ...shared, costs })
  const model_aliases = { fast: 'gpt-4o-mini' }
  await addUpstream(server, { name: 'named', mount: '/named', ...shared, model_aliases })
  const credential = { secret: 'sk-mistaken' }
  await addUpstream(server, { name: 'mistaken', mount: '/mistaken', ...shared, credential })
  return {
    api,
    server,
    direct: new OpenAI({ baseURL: base_url, apiKey: OPENAI_CREDENTIAL }),
    async holder(fields, mount = '/v1') {
      const { key, id } = await issueKey(server, fields)
      let sent = 0
      const count = (url: string | URL | Request, init?: RequestInit) => {
        sent++
        return fetch(url, init)
      }
      const client = new OpenAI({ baseURL: server.url + mount, apiKey: key, fetch: count })
      return { id, client, sent: () => sent }
    },
  }
}
