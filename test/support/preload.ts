/** Runs before every test file: a fixed zone, so that no test passes only where it was written. */
process.env['TZ'] = 'UTC'
