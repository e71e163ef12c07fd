/** Lets whatever else the machine has to do go first. */
import { readdirSync } from 'node:fs'
import { setPriority } from 'node:os'

const NICE = 19

/** On Linux each thread has a priority of its own, and the busy one need not be the main one. */
export function lowerPriority(): void {
  for (const thread of [0, ...threads()]) {
    try {
      setPriority(thread, NICE)
    } catch {
      // It has ended, or whoever has set limits to this process does not let it.
    }
  }
}

function threads(): number[] {
  try {
    return readdirSync('/proc/self/task').map(Number)
  } catch {
    return []
  }
}
