/** What the kernel says of this process, under the names that Prometheus's own clients use. Some of it only Linux tells. */
import { readdir } from 'node:fs/promises'
import { systemClock } from '../../lib/clock.ts'
import { openFilesMax } from '../../lib/process/connections.ts'
import type { Metric } from './exposition.ts'
import { gauge } from './gauge.ts'

export function processMetrics(): readonly Metric[] {
  // Once: whoever compares two readings must not take a clock that was put right for another start.
  const startedS = Math.round(systemClock() / 1000 - process.uptime())
  return [
    gauge('process_cpu_user_seconds_total', () => process.cpuUsage().user / 1e6),
    gauge('process_cpu_system_seconds_total', () => process.cpuUsage().system / 1e6),
    gauge('process_cpu_seconds_total', () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    }),
    gauge('process_start_time_seconds', () => startedS),
    gauge('process_resident_memory_bytes', () => process.memoryUsage.rss()),
    gauge('process_open_fds', countOpenFiles),
    gauge('process_max_fds', openFilesMax),
  ]
}

async function countOpenFiles(): Promise<number | null> {
  try {
    // One of them is the directory that is being read.
    return (await readdir('/proc/self/fd')).length - 1
  } catch {
    return null
  }
}
