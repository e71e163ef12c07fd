/** The parts of an OpenAPI document that tests look at. */

type Media = { schema: object; example?: unknown; examples?: Record<string, { value: unknown }> }
export type Operation = {
  operationId: string
  summary?: string
  description?: string
  tags?: string[]
  security: Record<string, string[]>[]
  parameters?: { name: string; in: string; example?: unknown }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { headers?: object; content?: Record<string, Media> }>
}
export type Document = {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, { properties: object }> }
}

/** An operation and where it stands. */
export type Called = Operation & { readonly path: string; readonly method: string }

export function operationsOf(document: Document): Called[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      path,
      method: method.toUpperCase(),
    })),
  )
}

export type Refusal = { code?: string; error?: { code: string } }

export function codeOf({ code, error }: Refusal): string {
  return code ?? error?.code ?? ''
}

export function codesOf(operation: Operation, status: number): string[] {
  const content = operation.responses[status]?.content ?? {}
  return Object.values(content).flatMap(({ examples = {} }) => Object.keys(examples))
}

/** Puts a real answer where the document has its example, so that the linter compares it with the schema. */
export function insert(
  target: Document,
  { path, method, operationId }: Called,
  { status, headers }: Response,
  value: unknown,
) {
  const content = target.paths[path]?.[method.toLowerCase()]?.responses[status]?.content ?? {}
  const type = headers.get('content-type')?.split(';')[0] ?? ''
  const media = content[type] ?? content['*/*']
  if (!media) throw new Error(`${operationId} does not document ${status} with ${type}`)
  delete media.example
  media.examples = { real: { value } }
}
