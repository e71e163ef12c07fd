/**
 * Images: how many were made, whether they are counted in tokens or not. All that `usage` counts as output is images,
 * unless it says otherwise.
 *
 * https://platform.openai.com/docs/api-reference/images/object,
 * https://platform.openai.com/docs/api-reference/images-streaming, as typed by openai-node 7.57.0 (2026-11-28)
 */
import { ITEMS } from '../../../lib/json/member.ts'
import { isObject, own } from '../../../lib/json/object.ts'
import { countAt, type Dialect, items } from '../dialect.ts'
import { NOTHING } from '../said.ts'

const COMPLETED = ['image_generation.completed', 'image_edit.completed']

export const IMAGES: Dialect = {
  // An empty shape asks whether the member is there, without reading it.
  shape: { type: true, usage: true, b64_json: {}, data: { [ITEMS]: { b64_json: {}, url: {} } } },
  members: ['data', 'b64_json'],
  signs: ['usage'],
  read(answer) {
    const images = items(own(answer, 'data')).filter(isImage).length
    const isOne = COMPLETED.includes(own(answer, 'type') as string)
    if (images === 0 && !isOne) return NOTHING
    const usage = own(answer, 'usage')
    const hasDetails = own(usage, 'output_tokens_details') !== undefined
    const imageOutput = hasDetails ? undefined : countAt(usage, ['output_tokens'])
    return { images: isOne ? 1 : images, imageOutput }
  },
}

function isImage(item: unknown): boolean {
  return isObject(item) && (Object.hasOwn(item, 'b64_json') || Object.hasOwn(item, 'url'))
}
