/** The room's door: how an answer is read, whichever API gave it. */
export { createReading, type Reading } from './reading.ts'
export { REPORT, SIGNS } from './table.ts'
