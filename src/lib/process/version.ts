/**
 * Which build this is. The release build defines both constants; a run from source takes the
 * version from package.json and calls its commit `dev`, so that the two can be told apart.
 */
import packageJson from '../../../package.json' with { type: 'json' }

declare const BUILD_VERSION: string | undefined
declare const BUILD_COMMIT: string | undefined

export const VERSION = typeof BUILD_VERSION === 'string' ? BUILD_VERSION : packageJson.version
export const COMMIT = typeof BUILD_COMMIT === 'string' ? BUILD_COMMIT : 'dev'
