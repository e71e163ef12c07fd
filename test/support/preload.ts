/** Runs before every test file: a fixed zone, so that no test passes only where it was written, and an end for what is started. */
import { afterAll } from 'bun:test'
import { endRun } from './server.ts'

process.env['TZ'] = 'UTC'
afterAll(endRun)
