/** Judges values and answers by an API document, with a validator that is not ours. */

import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { Called, Document } from './api-document.ts'
import type { Schema } from './schema-values.ts'

export type Judge = {
  /** The schema itself in the place of a reference to it. */
  resolve(schema: Schema): Schema
  accepts(schema: Schema, value: unknown): boolean
  /** What the document does not say of this answer; empty if it says all of it. */
  undocumented(operation: Called, response: Response, text: string): string
}

export function createJudge(document: Document): Judge {
  const ajv = new Ajv2020({ strict: false })
  addFormats(ajv)
  const compiled = new Map<object, ValidateFunction>()

  function check(schema: object, root: object): ValidateFunction {
    const known = compiled.get(schema)
    if (known) return known
    const made = ajv.compile({ ...schema, components: root })
    compiled.set(schema, made)
    return made
  }

  const answers = closed(document) as Document

  return {
    resolve(schema) {
      const name = schema.$ref?.split('/').at(-1)
      return name === undefined ? schema : (document.components.schemas[name] as Schema)
    },
    accepts: (schema, value) => check(schema, document.components)(value),
    undocumented({ path, method, responses }, response, text) {
      const { status, headers } = response
      if (!responses[status]) return `the status ${status}`
      const { content } = answers.paths[path]?.[method.toLowerCase()]?.responses[status] ?? {}
      if (!content) return text === '' ? '' : `a body with ${status}`
      const type = headers.get('content-type')?.split(';')[0] ?? ''
      const schema = content[type]?.schema
      if (!schema) return `${type} with ${status}`
      const validate = check(schema, answers.components)
      return validate(JSON.parse(text)) ? '' : `${text}: ${ajv.errorsText(validate.errors)}`
    },
  }
}

/** The same schemas, by which an object holds nothing but the members that are named. */
function closed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(closed)
  const members = Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, closed(one)]),
  )
  const isOpen =
    members['type'] === 'object' && members['properties'] && !('additionalProperties' in members)
  return isOpen ? { ...members, additionalProperties: false } : members
}
