/** What the kernel says a process has used, with everything that it started (Linux only: proc(5)). */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ, which is 100 on every Linux that Bun runs on. A tick is 0.2 % of five busy seconds. */
const TICK_US = 10_000

/** CPU time of all threads in user and kernel mode, in microseconds. */
export function cpuUs(pid: number): number {
  return processes(pid).reduce((sum, one) => sum + ticks(one) * TICK_US, 0)
}

export type Memory = { readonly residentMiB: number; readonly peakMiB: number }

export function memory(pid: number): Memory {
  const of = (field: string) =>
    processes(pid).reduce((sum, one) => sum + kibibytes(one, field) / 1024, 0)
  return { residentMiB: of('VmRSS'), peakMiB: of('VmHWM') }
}

/** It and all that descend from it, whichever of its threads has started them. */
function processes(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) => childrenOf(pid, thread))
  return [pid, ...children.flatMap(processes)]
}

function childrenOf(pid: number, thread: string): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
    return children.split(' ').filter(Boolean).map(Number)
  } catch {
    // A thread that has ended since it was listed has no children any more.
    return []
  }
}

function ticks(pid: number): number {
  return parseTicks(readFileSync(`/proc/${pid}/stat`, 'utf8'))
}

/** utime and stime, fields 14 and 15. The name before them is in brackets and may hold spaces and brackets. */
export function parseTicks(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

function kibibytes(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1])
}
