/** Which errors of an upstream are about the operator's credential: those, and none that a request can bring about. */
import { describe, expect, test } from 'bun:test'
import { isAboutCredential } from '../../src/proxy/answer/error/credential.ts'

const openai = (message: string, code: string | null, type = 'invalid_request_error') => ({
  error: { message, type, param: null, code },
})
const anthropic = (type: string, message: string) => ({ type: 'error', error: { type, message } })
const google = (code: number, status: string, message: string, reason?: string) => ({
  error: {
    ...{ code, message, status },
    details: reason ? [{ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason }] : [],
  },
})

/** As their documents and bug reports have them. */
const OF_CREDENTIAL: readonly (readonly [number, unknown])[] = [
  [401, openai('Incorrect API key provided: sk-opera*****0001.', 'invalid_api_key')],
  [401, openai('You must be a member of an organization to use the API', null)],
  [401, anthropic('authentication_error', 'invalid x-api-key')],
  [401, { message: 'Unauthorized', request_id: 'x' }],
  [401, { message: 'invalid api token' }],
  [401, { error: { message: 'No auth credentials found', code: 401 } }],
  [401, ''],
  [401, '<html>401</html>'],
  [403, openai('Your account has been deactivated', 'account_deactivated')],
  [403, openai('The API key is disabled', null)],
  [403, anthropic('permission_error', 'OAuth token has been revoked. Please obtain a new token.')],
  [403, anthropic('invalid_request_error', 'This organization has been disabled.')],
  [403, google(403, 'PERMISSION_DENIED', 'Your API key was reported as leaked. Please use another API key.')],
  [403, google(403, 'PERMISSION_DENIED', "Method doesn't allow unregistered callers. Please use API Key.")],
  [403, google(403, 'PERMISSION_DENIED', 'Requests are blocked.', 'API_KEY_SERVICE_BLOCKED')],
  [403, google(403, 'PERMISSION_DENIED', 'Permission denied.', 'CONSUMER_SUSPENDED')],
  [403, { message: 'The security token included in the request is invalid.' }],
  [403, { message: 'Authentication failed: Please make sure your API Key is valid.' }],
  [400, google(400, 'INVALID_ARGUMENT', 'API key not valid. Please pass a valid API key.', 'API_KEY_INVALID')],
  [400, google(400, 'INVALID_ARGUMENT', 'API key expired. Please renew the API key.')],
  [400, [google(400, 'INVALID_ARGUMENT', 'x', 'API_KEY_INVALID')]],
  [400, { code: 'Client specified an invalid argument', error: 'Incorrect API key provided: sk***01. You can obtain one' }],
] // biome-ignore format: a table

const OF_REQUEST: readonly (readonly [number, unknown])[] = [
  [403, { error: { code: 403, message: 'Input was flagged', metadata: { reasons: ['violence'], flagged_input: 'x' } } }],
  [403, { error: { message: 'flagged', code: 403, metadata: { flagged_input: 'Your API key is invalid' } } }],
  [403, openai('Country, region, or territory not supported', 'unsupported_country_region_territory', 'request_forbidden')],
  [403, openai('Project `proj_x` does not have access to model `gpt-5`', 'model_not_found')],
  [403, openai('You are not allowed to sample from this model', null)],
  [403, openai('Model access is disabled for this API key', null)],
  [403, anthropic('permission_error', 'Your API key does not have permission to use the specified resource.')],
  [403, anthropic('forbidden', 'Request not allowed')],
  [403, google(403, 'PERMISSION_DENIED', 'You do not have permission to access the File x or it may not exist.')],
  [403, { message: "You don't have access to the model with the specified model ID." }],
  [403, { message: 'Missing Authentication Token' }],
  [403, ''],
  [403, '<html><title>Attention Required! | Cloudflare</title>'],
  [401, openai('OpenAI-Organization header should match organization for API key', 'mismatched_organization')],
  [401, openai('You have insufficient permissions for this operation. Missing scopes: model.request.', null)],
  [401, { error: { message: 'key not allowed to access model. Tried gpt-5', type: 'key_model_access_denied', code: '401' } }],
  [400, openai("Invalid value: 'api_key'. Supported values are: 'text'.", 'invalid_value')],
  [400, openai('Invalid API key parameter in tool "x"', null)],
  [400, google(400, 'FAILED_PRECONDITION', 'User location is not supported for the API use.')],
  [400, google(400, 'INVALID_ARGUMENT', 'Please use a valid role: user, model.')],
  [400, ''],
] // biome-ignore format: a table

const written = (body: unknown) => (typeof body === 'string' ? body : JSON.stringify(body))

describe('an error is about the credential', () => {
  for (const [status, body] of OF_CREDENTIAL)
    test(`${status} ${written(body)}`, () =>
      expect(isAboutCredential(status, written(body))).toBe(true))
})

describe('an error is about the request', () => {
  for (const [status, body] of OF_REQUEST)
    test(`${status} ${written(body)}`, () =>
      expect(isAboutCredential(status, written(body))).toBe(false))
})

test('what cannot be read is about the credential if nothing else is likely', () => {
  expect([400, 401, 403].map((status) => isAboutCredential(status, ''))).toEqual([
    false,
    true,
    false,
  ])
})

test('nothing throws, and nothing takes long, whatever is said', () => {
  for (const text of ['['.repeat(60_000), '{"error":'.repeat(7_000), 'null', '[]', '[null]', '"x"', '{"error":{"details":{}}}',
    JSON.stringify({ error: { message: 'invalid '.repeat(8_000) } }), 'api key is '.repeat(6_000), 'model '.repeat(9_000)]) {
    const startedMs = performance.now()
    for (const status of [400, 401, 403]) isAboutCredential(status, text)
    expect(performance.now() - startedMs).toBeLessThan(1_000)
  } // biome-ignore format: a list
})
