/** How the admin API takes and shows the credential of an upstream. No answer holds its secret. */
import { t } from 'elysia'
import { SECRET_FORM } from '../../config/upstream.ts'
import { QUERY_NAME, TEMPLATE } from '../../domain/upstream.ts'
import { orNull } from '../../http/fields/nullable.ts'
import { notTogether } from '../../http/openapi/schema.ts'
import { HEADER_NAME } from '../../lib/http-syntax.ts'

const credentialFields = {
  secret: t.Optional(
    t.String({
      error: 'must be text',
      documented: SECRET_FORM,
      description: 'Stored sealed; never shown again.',
    }),
  ),
  header: t.Optional(
    t.String({
      error: 'must be text',
      documented: { pattern: HEADER_NAME.source },
      description:
        'The header that the credential goes into: `authorization` unless given, or `x-api-key` for `api.anthropic.com`.',
    }),
  ),
  query: t.Optional(
    t.String({
      error: 'must be text',
      documented: { pattern: QUERY_NAME.source },
      description: 'The query parameter that it goes into instead.',
    }),
  ),
  template: t.Optional(
    t.String({
      error: 'must be text',
      documented: { pattern: TEMPLATE.source },
      description:
        'What is sent, with `{secret}` once: `Bearer {secret}` in `authorization` unless given, elsewhere `{secret}`.',
      examples: ['Bearer {secret}'],
    }),
  ),
}
/** A new upstream must be given the secret, a changed one may keep its own. */
export const credentialForm = (documented: object) =>
  orNull(
    t.Object(credentialFields, {
      additionalProperties: false,
      minProperties: 1,
      documented: { ...notTogether('header', 'query'), ...documented },
    }),
    {
      error: 'must be null, or an object with secret and perhaps header or query, and template',
      description: 'What the operator’s account is known by. `null` is none.',
    },
  )

export const ShownCredential = t.Object(
  {
    header: t.Optional(t.String()),
    query: t.Optional(t.String()),
    template: t.String(),
    set: t.Boolean({ description: 'Whether there is a secret. It is never shown.' }),
  },
  { title: 'UpstreamCredential' },
)
