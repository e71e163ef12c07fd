/**
 * Builds the one file that is shipped and proves that it starts from an empty directory.
 * The binary never reads `.env`, `bunfig.toml`, `tsconfig.json` or `package.json` from where it is run:
 * a `preload` in such a file would be somebody else's code inside a process that holds credentials.
 * A build for this machine needs no network; for another `--target`, Bun fetches that runtime.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import manifest from '../package.json' with { type: 'json' }

const { values: flags } = parseArgs({
  options: { target: { type: 'string' }, outfile: { type: 'string' } },
})
const target = flags.target as Bun.Build.CompileTarget | undefined
const outfile = resolve(
  flags.outfile ?? `dist/quota-proxy${target ? target.replace(/^bun/, '') : ''}`,
)

const { outputs } = await Bun.build({
  // A thread is a bundle of its own; it stands in the binary at its path under src.
  entrypoints: ['src/main.ts', 'src/db/sqlite/read/worker.ts'],
  // The binary reads only the chunks that a start needs. A server begins twice (src/lib/process/connections.ts), and the first
  // time it needs little more than that file.
  splitting: true,
  // Compiled ahead, so that a start parses nothing: it takes half as long. Bun would choose CommonJS for that, which knows no
  // top-level await and writes the folder of this checkout for `import.meta`.
  bytecode: true,
  format: 'esm',
  compile: {
    outfile,
    ...(target && { target }),
    autoloadDotenv: false,
    autoloadBunfig: false,
    autoloadTsconfig: false,
    autoloadPackageJson: false,
  },
  // Elysia generates code from the text of its functions; renamed identifiers break it (elysia#740, 1.4).
  minify: { whitespace: true, syntax: true, identifiers: false },
  // The map is embedded, so that a fault's stack trace names files and lines of the sources.
  sourcemap: 'inline',
  define: {
    BUILD_VERSION: JSON.stringify(manifest.version),
    BUILD_COMMIT: JSON.stringify(commit()),
    'process.env.NODE_ENV': '"production"',
    // Bun would write the folder of this checkout into the binary for modules that ask (pino's do).
    __dirname: '"/"',
    __filename: '"/quota-proxy"',
  },
})
// Bun 1.4 also writes the embedded maps, one a chunk, beside the binary; nothing reads them there.
for (const { kind, path } of outputs) {
  if (kind === 'sourcemap') rmSync(path, { force: true })
}

const sizeMiB = Bun.file(outfile).size / 2 ** 20
console.log(`${outfile} ${sizeMiB.toFixed(1)} MiB${target ? '' : `: ${smoke()}`}`)

/** `BUILD_COMMIT` is for builds without a repository, such as the container's. */
function commit(): string {
  const given = process.env['BUILD_COMMIT']
  if (given) return given
  if (!Bun.which('git')) return 'unknown'
  // `--short` would give more characters in a repository with more objects.
  const git = Bun.spawnSync(['git', 'rev-parse', 'HEAD'], { stderr: 'ignore' })
  return git.success ? git.stdout.toString().slice(0, 7) : 'unknown'
}

/** Runs the binary where no source, dependency or setting can help it. */
function smoke(): string {
  const empty = mkdtempSync(join(tmpdir(), 'quota-proxy-smoke-'))
  try {
    const run = Bun.spawnSync([outfile, '--version'], { cwd: empty, env: {} })
    const said = run.stdout.toString().trim()
    if (run.success && said.includes(manifest.version)) return said
    throw new Error(`the binary does not start: ${said}${run.stderr.toString()}`)
  } finally {
    rmSync(empty, { recursive: true })
  }
}
