/**
 * Whether and how calls are traced, from the standard variables of OpenTelemetry. They belong to
 * the environment and are no settings of this program. Pure. No problem ever holds a value.
 */
import type { Environment } from './environment.ts'

export const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const

export const PROTOCOLS = ['http/protobuf', 'http/json'] as const

export type TracingSettings = {
  readonly protocol: (typeof PROTOCOLS)[number]
  readonly sampler: (typeof SAMPLERS)[number]
  /** The part of the calls that a sampler by ratio takes, from 0 to 1. */
  readonly ratio: number
  /** How often finished traces are sent, ms. */
  readonly delayMs: number
}

/**
 * The variables of the standard that count here, for docs/metrics.md. The SDK itself reads the
 * names that end with `…`.
 */
export const TRACING_VARIABLES: readonly (readonly [name: string, sentence: string])[] = [
  [
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    'URL of the collector, such as `http://collector:4318`: turns traces on. `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is the whole URL instead, its path included.',
  ],
  [
    'OTEL_TRACES_EXPORTER',
    '`otlp` turns traces on, by default to `http://localhost:4318`; `none` turns them off.',
  ],
  ['OTEL_SDK_DISABLED', '`true` turns traces off, whatever else is set.'],
  [
    'OTEL_EXPORTER_OTLP_PROTOCOL',
    '`http/protobuf` (the default) or `http/json`; also `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`. There is no `grpc`.',
  ],
  [
    'OTEL_EXPORTER_OTLP_…',
    '`HEADERS`, `TIMEOUT`, `COMPRESSION`, `CERTIFICATE`, `CLIENT_CERTIFICATE`, `CLIENT_KEY`, each also with `TRACES_` before it.',
  ],
  ['OTEL_SERVICE_NAME', 'Name of this service in traces; `quota-proxy` by default.'],
  ['OTEL_RESOURCE_ATTRIBUTES', 'What else is said of it, as `name=value`, with commas.'],
  [
    'OTEL_TRACES_SAMPLER',
    `Which calls are traced: ${SAMPLERS.map((name) => `\`${name}\``).join(', ')}; \`parentbased_always_on\` by default, which follows the client.`,
  ],
  ['OTEL_TRACES_SAMPLER_ARG', 'The part of the calls for the samplers by ratio, from 0 to 1.'],
  ['OTEL_BSP_SCHEDULE_DELAY', 'How often traces are sent, in milliseconds; 5000 by default.'],
]

/** An hour. The standard has no bound, and the number of waiting traces is bounded anyway. */
const DELAY_MS_MAX = 3_600_000

export function readTracing(env: Environment): {
  /** Null if nothing is traced. */
  readonly settings: TracingSettings | null
  readonly problems: readonly string[]
} {
  const { text, oneOf, number, problems } = createReader(env)
  const endpoints = ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT']
  const given = endpoints.filter((name) => text(name) !== undefined)
  const otherwise = given.length > 0 ? 'otlp' : 'none'
  if (text('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return { settings: null, problems }
  if (oneOf('OTEL_TRACES_EXPORTER', ['otlp', 'none'], otherwise) === 'none')
    return { settings: null, problems }

  for (const name of given)
    if (!/^https?:$/.test(URL.parse(text(name) ?? '')?.protocol ?? ''))
      problems.push(`${name} must be an http or https URL.`)
  const protocol = oneOf('OTEL_EXPORTER_OTLP_PROTOCOL', PROTOCOLS, 'http/protobuf')
  return {
    settings: {
      protocol: oneOf('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', PROTOCOLS, protocol),
      sampler: oneOf('OTEL_TRACES_SAMPLER', SAMPLERS, 'parentbased_always_on'),
      ratio: number('OTEL_TRACES_SAMPLER_ARG', 1, 1),
      delayMs: number('OTEL_BSP_SCHEDULE_DELAY', DELAY_MS_MAX, 5_000),
    },
    problems,
  }
}

/** Reads variables one by one, and collects what is wrong with them. */
function createReader(env: Environment) {
  const problems: string[] = []
  const text = (name: string) => env[name]?.trim() || undefined

  function oneOf<Value extends string>(name: string, values: readonly Value[], otherwise: Value) {
    const given = text(name)
    const value = values.find((known) => known === given)
    if (given !== undefined && value === undefined)
      problems.push(`${name} must be ${values.join(' or ')}.`)
    return value ?? otherwise
  }

  function number(name: string, max: number, otherwise: number): number {
    const given = text(name)
    const value = given === undefined ? otherwise : Number(given)
    if (value >= 0 && value <= max) return value
    problems.push(`${name} must be a number from 0 to ${max}.`)
    return otherwise
  }

  return { text, oneOf, number, problems }
}
