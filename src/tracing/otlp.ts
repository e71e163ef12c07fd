/**
 * Traces calls with OpenTelemetry's own SDK: one span for each call, and in it one for its request
 * to the upstream. It is loaded only where traces are wanted. No call notices a collector that
 * fails: what waits for it is bounded, and dropped beyond that.
 */
import { defaultTextMapSetter, ROOT_CONTEXT, type Span, SpanKind, trace } from '@opentelemetry/api'
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter as JsonExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import {
  detectResources,
  resourceAttributesEnvDetector,
  resourceFromAttributes,
  serviceNameEnvDetector,
} from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { ATTR_SERVICE_NAME, ATTR_SERVICE_VERSION } from '@opentelemetry/semantic-conventions'
import type { TracingSettings } from '../config/tracing.ts'
import type { Log } from '../lib/log.ts'
import { VERSION } from '../lib/process/version.ts'
import type { CallTrace } from '../proxy/call.ts'
import type { Tracer } from '../proxy/trace.ts'
import { reporting } from './reporting.ts'
import {
  type Ending,
  endingAtUpstream,
  endingOfCall,
  FAULT,
  methodAsName,
  ofCall,
  ofRequest,
  routeOf,
} from './spans.ts'

export type Tracing = {
  readonly tracer: Tracer
  /** Sends the spans that have ended; gives up soon if nobody takes them. */
  stop(): Promise<void>
}

/** How long a stop waits for a collector that does not answer. */
const STOP_MS = 2_000

export function startTracing(settings: TracingSettings, log: Log): Tracing {
  // The exporter has already reported these errors.
  setGlobalErrorHandler(() => {})
  const exporter = settings.protocol === 'http/json' ? new JsonExporter() : new ProtobufExporter()
  const provider = new TracerProvider({
    resource: resource(),
    sampler: samplerOf(settings),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: reporting(exporter, log),
        scheduledDelayMillis: settings.delayMs,
      }),
    ],
  })
  return {
    tracer: createTracer(provider),
    async stop() {
      await Promise.race([provider.shutdown().catch(() => {}), Bun.sleep(STOP_MS)])
    },
  }
}

function createTracer(provider: TracerProvider): Tracer {
  const spans = provider.getTracer('quota-proxy', VERSION)
  const propagator = new W3CTraceContextPropagator()

  return {
    start(request, ingress): CallTrace {
      const parent = propagator.extract(ROOT_CONTEXT, request.headers, PARENT_ALONE)
      const name = `${methodAsName(request.method)} ${routeOf(request, ingress)}`
      const attributes = ofCall(request, ingress)
      const call = spans.startSpan(name, { kind: SpanKind.SERVER, attributes }, parent)
      let sent: Span | null = null
      let ended = false

      function finish(ofUpstream: Ending, own: Ending): void {
        if (ended) return
        ended = true
        if (sent) close(sent, ofUpstream)
        close(call, own)
      }

      return {
        send(outbound) {
          const { headers, method } = outbound
          const within = trace.setSpan(ROOT_CONTEXT, call)
          const options = { kind: SpanKind.CLIENT, attributes: ofRequest(outbound) }
          // One that was refused for what we put into it.
          sent?.end()
          sent = spans.startSpan(methodAsName(method), options, within)
          const own: Record<string, string> = {}
          propagator.inject(trace.setSpan(within, sent), own, defaultTextMapSetter)
          const { traceId } = call.spanContext()
          return { headers: own, isClients: headers['traceparent']?.includes(traceId) ?? false }
        },
        end: (report) => finish(endingAtUpstream(report), endingOfCall(report)),
        fail: () => finish(FAULT, FAULT),
      }
    },
  }
}

function close(span: Span, { attributes, status }: Ending): void {
  span.setAttributes(attributes)
  if (status) span.setStatus(status)
  span.end()
}

/**
 * Only the parent: a client can write anything into `tracestate`, which would then stand in the
 * trace.
 */
const PARENT_ALONE = {
  keys: () => ['traceparent'],
  get: (headers: Headers, name: string) =>
    name === 'traceparent' ? (headers.get(name) ?? undefined) : undefined,
}

/** The environment overrides what we say of ourselves. */
function resource() {
  const own = { [ATTR_SERVICE_NAME]: 'quota-proxy', [ATTR_SERVICE_VERSION]: VERSION }
  const detectors = [resourceAttributesEnvDetector, serviceNameEnvDetector]
  return resourceFromAttributes(own).merge(detectResources({ detectors }))
}

function samplerOf({ sampler, ratio }: TracingSettings): Sampler {
  switch (sampler) {
    case 'always_on':
      return new AlwaysOnSampler()
    case 'always_off':
      return new AlwaysOffSampler()
    case 'traceidratio':
      return new TraceIdRatioBasedSampler(ratio)
    case 'parentbased_always_on':
      return new ParentBasedSampler({ root: new AlwaysOnSampler() })
    case 'parentbased_always_off':
      return new ParentBasedSampler({ root: new AlwaysOffSampler() })
    case 'parentbased_traceidratio':
      return new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) })
  }
}
