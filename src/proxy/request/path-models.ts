/** Writes the upstream's own names of models into the path of a call that names them by an alias. Pure. */

import { aliasOf } from '../../metering/request.ts'

/** What a model follows in the paths that src/metering/request/plain-path.ts knows. */
const BEFORE_MODEL = /^(?:models|tunedmodels|deployments|engines|model)$/i

export function aliasedPath(
  pathname: string,
  aliases: Readonly<Record<string, string>> | undefined,
): string {
  if (!aliases || !hasAny(aliases)) return pathname
  const steps = pathname.split('/')
  const renamed = steps.map((step, i) =>
    BEFORE_MODEL.test(steps[i - 1] ?? '') ? renamedStep(step, aliases) : step,
  )
  return renamed.join('/')
}

function hasAny(aliases: object): boolean {
  for (const _ in aliases) return true
  return false
}

/** With Google's verb behind it, if there is one. */
function renamedStep(step: string, aliases: Readonly<Record<string, string>>): string {
  const [, name = '', verb = ''] = /^(.*?)(:[a-zA-Z]+)?$/.exec(step) ?? []
  const alias = decodedStep(name)
  const model = aliasOf(alias, aliases)
  return model === alias ? step : model.split('/').map(encodeURIComponent).join('/') + verb
}

function decodedStep(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
