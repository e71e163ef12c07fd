/**
 * Qwen by DashScope's own API: `usage` is read as OpenAI's Responses are, and says beside it how much of the input was
 * images and sound, and what is billed by the piece or the second. The input contains the images, except for embeddings,
 * whose count of images is larger than their input.
 *
 * https://www.alibabacloud.com/help/en/model-studio/qwen-api-via-dashscope,
 * https://www.alibabacloud.com/help/en/model-studio/multimodal-embedding-api-reference (2026-11-28)
 */
import { isObject, own } from '../../../lib/json/object.ts'
import { countAt, type Dialect, sumOf } from '../dialect.ts'
import { isNothing, NO_TOKENS, NOTHING, type Said } from '../said.ts'

export const DASHSCOPE: Dialect = {
  shape: { usage: true },
  members: ['usage'],
  usageMembers: ['input_tokens', 'image_count', 'seconds'],
  signs: ['usage'],
  read(answer) {
    const usage = own(answer, 'usage')
    if (!isObject(usage)) return NOTHING
    const said = readUsage(usage)
    return isNothing(said) ? NOTHING : said
  },
}

function readUsage(usage: Record<string, unknown>): Said {
  const [images, audio] = [countAt(usage, ['image_tokens']), countAt(usage, ['audio_tokens'])]
  const pieces = { images: countAt(usage, ['image_count']), seconds: countAt(usage, ['seconds']) }
  const input = countAt(usage, ['input_tokens'])
  if (input === undefined) {
    const isByPiece = own(usage, 'total_tokens') === undefined && !isNothing(pieces)
    return isByPiece ? { ...NO_TOKENS, ...pieces } : pieces
  }
  const isOutside = images !== undefined && images > input
  return {
    input: isOutside ? sumOf(input, images) : input,
    // Embeddings write nothing, and do not say so.
    output: isOutside && own(usage, 'output_tokens') === undefined ? 0 : undefined,
    imageInput: images,
    audioInput: audio,
    ...pieces,
  }
}
