/** Mounts the data path and documents it. The body is left alone: the data path reads it within its own limits. */
import { Elysia, t } from 'elysia'
import { requestIdOf } from '../http/request-id.ts'
import type { Handle } from './handle.ts'

export type IpOf = (request: Request) => string

export const EnvelopeSchema = t.Object(
  {
    endpoint: t.String({
      description: 'http or https URL of the call.',
      examples: ['https://api.example.com/v1/chat'],
    }),
    method: t.Optional(
      t.String({
        description: 'GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS; POST with a body, else GET.',
      }),
    ),
    headers: t.Optional(
      t.Record(t.String(), t.String(), {
        description: 'Sent to the endpoint, except what belongs to the connection.',
      }),
    ),
    query: t.Optional(
      t.Record(t.String(), t.Unknown(), { description: 'Added to the query of the endpoint.' }),
    ),
    body: t.Optional(
      t.Unknown({ description: 'Text goes as it is, anything else as the JSON written here.' }),
    ),
    timeout_ms: t.Optional(
      t.Integer({ minimum: 1, description: 'For the whole call; at most PROXY_TIMEOUT_MS.' }),
    ),
  },
  {
    additionalProperties: false,
    examples: [
      {
        endpoint: 'https://api.example.com/v1/chat',
        method: 'POST',
        body: { message: 'Hello, quota-proxy!' },
      },
    ],
  },
)

export function proxyController(handle: Handle, ipOf: IpOf) {
  return new Elysia({ name: 'proxy', detail: { tags: ['Proxy'] } }).post(
    '/proxy',
    ({ request }) => handle(request, { ip: ipOf(request), requestId: requestIdOf(request) }),
    {
      parse: 'none',
      detail: {
        operationId: 'proxyCall',
        summary: 'Make a metered call',
        description:
          'Sends the call and answers with the real answer: its status, its end-to-end headers and its body, streamed. One request of the key is charged, and given back if there was no answer or a 5xx.',
      },
    },
  )
}
