/**
 * Turns TypeBox schemas into plain JSON Schema for readers and generators: enums instead of unions
 * of constants, nullable types instead of unions with null, and one named component for every
 * schema with a title. Pure.
 */

export type Schema = {
  readonly type?: string | readonly (string | null)[]
  readonly title?: string
  readonly description?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly multipleOf?: number
  readonly examples?: readonly unknown[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly anyOf?: readonly Schema[]
  /** The sentence of our own validation. It is no keyword of JSON Schema. */
  readonly error?: unknown
  /**
   * Keywords for the document alone. They describe what a service checks itself, so that it can
   * name every wrong entry.
   */
  readonly documented?: Readonly<Record<string, unknown>>
  readonly [keyword: string]: unknown
}

/**
 * For the document: only one of two members may be given. Both are named again, because linters
 * look for required members.
 */
export function notTogether(one: string, other: string) {
  const properties = { [one]: {}, [other]: {} }
  return { not: { type: 'object', properties, required: [one, other] } }
}

/** Moves schemas that have a title into `named`, and leaves references to them. */
export function plainSchema(schema: Schema, named: Record<string, Schema>): Schema {
  const plain = (child: Schema) => plainSchema(child, named)
  const {
    error: _,
    patternProperties,
    properties,
    items,
    anyOf,
    multipleOf,
    documented,
    ...plainly
  } = schema
  const { format, ...rest } = plainly
  // TypeBox writes a record as a single pattern that matches every name.
  const members = Object.values(patternProperties ?? {})[0] ?? schema.additionalProperties
  const result: Schema = {
    ...rest,
    ...(multipleOf !== undefined && (multipleOf === 1 ? { type: 'integer' } : { multipleOf })),
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, child]) => [name, plain(child)]),
      ),
    }),
    ...(items && { items: plain(items) }),
    ...(members !== undefined && {
      additionalProperties: typeof members === 'object' ? plain(members) : members,
    }),
    ...(anyOf && choice(anyOf.map(plain))),
    // A format may be one of our own, which nobody else knows.
    ...(documented ?? (format !== undefined && { format })),
  }
  if (!result.title) return result
  named[result.title] = result
  return { $ref: `#/components/schemas/${result.title}` }
}

function choice(schemas: readonly Schema[]): Schema {
  const nullable = schemas.some(({ type }) => type === 'null')
  const choices = schemas.filter(({ type }) => type !== 'null')
  const orNull = nullable ? [null] : []
  if (choices.every((one) => 'const' in one)) {
    const type = nullable ? ['string', 'null'] : 'string'
    return { type, enum: [...choices.map((one) => one.const), ...orNull] }
  }
  const [only] = choices
  if (choices.length > 1 || typeof only?.type !== 'string') {
    return { anyOf: nullable ? [...choices, { type: 'null' }] : choices }
  }
  return nullable ? { ...only, type: [only.type, 'null'] } : only
}
