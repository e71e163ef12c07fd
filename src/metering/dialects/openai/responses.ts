/**
 * Responses: `usage` of the whole answer, or of `response` in the events of a stream, of WebSockets and of realtime
 * sessions, which may report on many responses: each counts once by its id. What tools for images have used stands in
 * `tool_usage`, outside of `usage`, and so does `svg_usage` of images. A background response has `usage` null until it is
 * done.
 *
 * https://platform.openai.com/docs/api-reference/responses/object,
 * https://platform.openai.com/docs/api-reference/realtime-server-events/response/done,
 * as typed by openai-node 7.57.0 (2026-11-28)
 */
import { isObject, own } from '../../../lib/json/object.ts'
import { type Dialect, items, nameOf } from '../dialect.ts'
import { add, NOTHING, type Said } from '../said.ts'
import { readUsageObject } from './usage.ts'

const RESPONSE = { usage: true, tool_usage: true, svg_usage: true } as const

export const RESPONSES: Dialect = {
  shape: { ...RESPONSE, type: true, response: { ...RESPONSE, id: true } },
  members: ['tool_usage', 'svg_usage', 'response'],
  signs: ['usage', 'tool_usage', 'svg_usage'],
  read(answer) {
    const tools = readTools(answer)
    return tools === NOTHING
      ? NOTHING
      : add(readUsageObject(own(answer, 'usage')) ?? NOTHING, tools)
  },
  piece(answer) {
    const response = own(answer, 'response')
    if (!isObject(response)) return null
    const said = add(readUsageObject(own(response, 'usage')) ?? NOTHING, readTools(response))
    if (said === NOTHING) return null
    // A realtime session without ids: each event is another response. In a stream all are of the same.
    const anonymous = own(answer, 'type') === 'response.done' ? null : ''
    return { name: nameOf(own(response, 'id')) ?? anonymous, said }
  },
}

function readTools(response: unknown): Said {
  const tools = own(response, 'tool_usage')
  const objects = isObject(tools) ? items(Object.values(tools)) : []
  return [...objects, own(response, 'svg_usage')].reduce<Said>((all, usage) => {
    const said = readUsageObject(usage)
    return said ? add(all, said) : all
  }, NOTHING)
}
