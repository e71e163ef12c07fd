/**
 * Runs before every test file: a fixed zone, so that no test passes only where it was written, room for a busy machine, and an
 * end for what is started.
 */
import { afterAll, setDefaultTimeout } from 'bun:test'
import { endRun } from './server.ts'

process.env['TZ'] = 'UTC'
// A test that takes longer hangs; Bun's own five seconds have been too few beside another build. Bun 1.4.5 forgets this after the
// first file, so that the scripts of package.json say it as well.
setDefaultTimeout(20_000)
afterAll(endRun, 60_000)
