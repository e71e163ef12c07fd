/**
 * Logs once when traces can no longer be sent, and once when they can again, not with every batch.
 */
import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import type { Log } from '../lib/log.ts'

export function reporting(exporter: SpanExporter, log: Log): SpanExporter {
  let failing = false

  function note({ code, error }: ExportResult): void {
    const isFailure = code !== ExportResultCode.SUCCESS
    if (isFailure === failing) return
    failing = isFailure
    if (isFailure)
      log.warn(
        { error: error?.message ?? '' },
        'traces cannot be sent; those that wait are dropped',
      )
    else log.info('traces are sent again')
  }

  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        note(result)
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  }
}
