/** The parts of the benchmark, in the order of a whole run. */
import { measureAsk } from './measure/ask.ts'
import { measureBackup } from './measure/backup.ts'
import { measureBlock } from './measure/block.ts'
import { measureCall } from './measure/call.ts'
import { measureCrowd } from './measure/crowd.ts'
import { measureFlat } from './measure/flat.ts'
import { measureParse } from './measure/parse.ts'
import { measurePass } from './measure/pass.ts'
import { measurePeers } from './measure/peers.ts'
import { measurePostgres } from './measure/postgres/measure.ts'
import { measureStages } from './measure/stages.ts'
import { measureStart } from './measure/start.ts'
import { measureTls } from './measure/tls.ts'

export const PARTS = {
  peers: measurePeers,
  pass: measurePass,
  call: measureCall,
  tls: measureTls,
  parse: measureParse,
  stages: measureStages,
  flat: measureFlat,
  start: measureStart,
  backup: measureBackup,
  block: measureBlock,
  ask: measureAsk,
  crowd: measureCrowd,
  postgres: measurePostgres,
} as const
