/** Who looks at an answer as it passes: what counts its tokens, or what cuts a list of models down to those of the key. */

import type { Scope } from '../../domain/key.ts'
import { createAnswerTap } from '../../metering/answer/answer-tap.ts'
import type { Tap } from '../../metering/answer/tap.ts'
import type { Metering } from '../../metering/reckon.ts'
import { plainPath } from '../../metering/request/plain-path.ts'
import type { ClientCall } from '../request/client-call.ts'
import { createModelListTap, isAboutModels, viewOf } from './model-list.ts'

/** Null for an answer in which there is nothing to see. */
export type TapMaker = (answer: Response) => Tap | null

/** Null if no answer of the call needs one; then its bytes pass unseen, encoded as the client likes them. */
export function tapFor(
  { upstream, method, path }: ClientCall,
  scope: Scope | null,
  metering: Metering | null,
): TapMaker | null {
  const aliases = upstream?.settings.modelAliases ?? {}
  const changed = scope?.models !== undefined || Object.keys(aliases).length > 0
  const plain = plainPath(path ?? '')
  if (upstream && changed && method === 'GET' && isAboutModels(plain)) {
    const view = viewOf(plain, { models: scope?.models, aliases })
    return ({ status }) => (status === 200 ? createModelListTap(view) : null)
  }
  if (!metering) return null
  const { settings, hideUsage } = metering
  return ({ headers }) =>
    createAnswerTap({
      contentType: headers.get('content-type'),
      contentEncoding: headers.get('content-encoding'),
      settings,
      hideUsage,
    })
}
