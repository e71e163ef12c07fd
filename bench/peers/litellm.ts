/** LiteLLM's proxy, from PyPI into a virtual environment in the directory of the run. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BODY, PATH } from '../load/traffic.ts'
import { freeAddress } from '../workspace.ts'
import { NOT_ASKED, type Peer } from './peer.ts'

/** One that was seen to work and is none of those that were published with malicious code. */
const VERSION = '1.91.1'
/** It takes a minute; most of it is unpacking 640 MB. */
const INSTALL_S_MAX = 600
/** It imports for eight seconds on a machine that has nothing else to do. */
const START_MS_MAX = 120_000

const MASTER_KEY = 'sk-master'

export const litellm: Peer = {
  name: 'LiteLLM',
  note: 'Routes among providers, translates, reckons costs; without its PostgreSQL, as here, it checks one key and keeps no quota.',
  async start({ workspace, upstream, install, say }) {
    if (!install) return { ok: false, reason: NOT_ASKED }
    const python = Bun.which('python3')
    if (python === null) return { ok: false, reason: 'It needs Python 3 with venv.' }
    const directory = join(workspace.directory, 'litellm')
    mkdirSync(directory)
    const bin = join(directory, 'venv/bin')
    say(`installing LiteLLM ${VERSION} from PyPI, for at most ${INSTALL_S_MAX} s`)
    const venv = [python, '-m', 'venv', join(directory, 'venv')]
    await workspace.run('litellm-venv', venv, INSTALL_S_MAX)
    const quiet = ['--disable-pip-version-check', '--progress-bar', 'off', '--only-binary', ':all:']
    const command = [join(bin, 'pip'), 'install', ...quiet, `litellm[proxy]==${VERSION}`]
    await workspace.run('litellm-install', command, INSTALL_S_MAX)

    say('LiteLLM is installed and starts')
    const { port, url } = freeAddress()
    const config = join(directory, 'config.yaml')
    writeFileSync(config, configOf(upstream.url))
    const at = ['--host', '127.0.0.1', '--port', String(port), '--num_workers', '1']
    const server = await workspace.serve(
      'litellm',
      url,
      [join(bin, 'litellm'), '--config', config, ...at, '--telemetry', 'False'],
      // It would fetch its list of prices, and write under the home directory.
      { HOME: directory, LITELLM_LOCAL_MODEL_COST_MAP: 'True', LITELLM_LOG: 'ERROR' },
      { startMsMax: START_MS_MAX },
    )
    const headers = { authorization: `Bearer ${MASTER_KEY}` }
    const label = `LiteLLM ${VERSION}`
    return { ok: true, label, server, traffic: { path: PATH, body: BODY, headers } }
  },
}

function configOf(upstream: string): string {
  const { model } = JSON.parse(BODY) as { model: string }
  return `model_list:
  - model_name: ${model}
    litellm_params:
      model: openai/${model}
      api_base: ${upstream}/v1
      api_key: sk-bench
general_settings:
  master_key: ${MASTER_KEY}
`
}
