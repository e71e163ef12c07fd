/** The one spelling of a path, and the models that stand in it. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { modelsInPath, plainPath } from '../../src/metering/request/plain-path.ts'
import { aliasedPath } from '../../src/proxy/request/path-models.ts'

test('a path has one plain spelling', () => {
  for (const path of [
    '/images/generations', '//images/generations', '/images//generations', '/images/generations/', '/images/generations//',
    '/images%2Fgenerations', '/images%252Fgenerations', '/images\\generations', '/images;v=1/generations;', '/images/generations;a=b/',
  ]) // biome-ignore format: a list of paths
    expect([path, plainPath(path)]).toEqual([path, '/images/generations'])
  expect(plainPath('')).toBe('/')
  expect(plainPath('/')).toBe('/')
  expect(plainPath('/100%')).toBe('/100%')
})

test('what is plain stays as it is, and nothing becomes plainer a second time', () => {
  const step = fc.stringMatching(/^[a-z0-9:._ äß-]{1,8}$/u)
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 6 }), (steps) => {
      const path = `/${steps.join('/')}`
      expect(plainPath(path)).toBe(path)
      expect(plainPath(`/${path}//`)).toBe(path)
    }),
  )
  fc.assert(
    fc.property(fc.webPath(), (path) => {
      const once = plainPath(path)
      expect(once.startsWith('/')).toBe(true)
      expect(once.includes('//')).toBe(false)
      modelsInPath(path)
    }),
  )
})

test('a model is found in the path of every API that has it there', () => {
  const named = {
    '/models/gemini-2.5-pro:generateContent': 'gemini-2.5-pro',
    '/v1beta/models/gemini-2.5-pro:streamGenerateContent': 'gemini-2.5-pro',
    '/tunedModels/mine:generateContent': 'mine',
    '/projects/p/locations/l/publishers/google/models/gemini-x:predict': 'gemini-x',
    '/projects/p/locations/l/publishers/anthropic/models/claude-4@20250514:rawPredict':
      'claude-4@20250514',
    '/openai/deployments/gpt-4o/chat/completions': 'gpt-4o',
    '/DEPLOYMENTS/gpt-4o/chat/completions': 'gpt-4o',
    '/engines/davinci/completions': 'davinci',
    '/v1/engines/davinci': 'davinci',
    '/model/anthropic.claude-3:0/converse': 'anthropic.claude-3:0',
    '/model/arn:aws:bedrock:x::inference-profile/us.claude/invoke-with-response-stream':
      'arn:aws:bedrock:x::inference-profile/us.claude',
    '/models/meta/llama/predictions': 'meta/llama',
    '/models/org/name/v1/chat/completions': 'org/name',
    '/accounts/a/ai/run/@cf/meta/llama': '@cf/meta/llama',
    '/models/llama3:8b': 'llama3:8b',
    '//models//gemini-x:generateContent': 'gemini-x',
    '/models%2Fgemini-x:generateContent': 'gemini-x',
  }
  for (const [path, model] of Object.entries(named))
    expect([path, modelsInPath(path)]).toEqual([path, [model]])
  for (const path of ['/models', '/models/', '/chat/completions', '/model', '/deployments', '/api/tags'])
    expect([path, modelsInPath(path)]).toEqual([path, []])
  expect(modelsInPath('/deployments/a/engines/b/x')).toEqual(['a', 'b'])
}) // biome-ignore format: a list of paths

test('an alias in a path is replaced by the upstream’s own name, and nothing else is', () => {
  const aliases = { fast: 'meta/llama 3', 'a b': 'x' }
  expect(aliasedPath('/v1/models/fast', aliases)).toBe('/v1/models/meta/llama%203')
  expect(aliasedPath('/v1/models/fast:generateContent', aliases)).toBe('/v1/models/meta/llama%203:generateContent')
  expect(aliasedPath('/openai/deployments/a%20b/chat', aliases)).toBe('/openai/deployments/x/chat')
  for (const path of ['/fast', '/models/faster', '/models/%', '/models/toString', '/models/fast%2Fx', '/chat/fast'])
    expect(aliasedPath(path, aliases)).toBe(path)
  expect(aliasedPath('/models/fast', {})).toBe('/models/fast')
  expect(aliasedPath('/models/fast', undefined)).toBe('/models/fast')
}) // biome-ignore format: a list of paths
