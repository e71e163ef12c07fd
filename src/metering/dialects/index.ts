/** The room's door: how an answer is read, whichever API gave it. */
export { nameOf } from './dialect.ts'
export { modelOf } from './model.ts'
export { createReading, type Reading, reportIn, usageOf } from './reading.ts'
export { beyond, merge, type Said } from './said.ts'
export { REPORT, SIGNS } from './table.ts'
export { namesOf, UNKNOWN_SIGNS } from './unknown.ts'
