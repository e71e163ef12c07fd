/** `keys import`: what its files may hold, and that no key that it issues is lost or issued twice. */
import { expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../support/command.ts'
import { COMMAND, startServer, temporaryDirectory } from '../support/server.ts'

type Row = Record<string, unknown>

const run = (args: readonly string[], DATA_DIR: string, input?: string) =>
  runCommand([...COMMAND, ...args], { DATA_DIR }, undefined, input)

function newDirectory(): string {
  return join(temporaryDirectory(), 'data')
}

async function keysOf(dataDir: string): Promise<Row[]> {
  return JSON.parse((await run(['keys', 'list', '--json'], dataDir)).out) as Row[]
}

const ROWS = 'name,quota\nAda,1\nBob,1\n'
const MANY = `name,quota\n${Array.from({ length: 2_000 }, (_, i) => `student-${i},10\n`).join('')}`

test('columns of limits, days and times from now are read as by the options of "keys create"', async () => {
  const dataDir = newDirectory()
  const csv = [
    'name,quota,expires_at,limit:tokens/day,limit:big:cost/month@Asia/Shanghai',
    'Ada,10,2099-12-31,1000,5.50',
    'Bob,unlimited,30d,-,unlimited',
    'Cleo,3,never,,0.000001',
  ].join('\n')
  expect(await run(['keys', 'import', '-', '--create'], dataDir, csv)).toMatchObject({ code: 0 })
  const [cleo, bob, ada] = await keysOf(dataDir)
  const limits = (key: Row = {}) => (key['limits'] as Row[]).slice(1)
  expect(ada).toMatchObject({ expires_at: '2099-12-31T00:00:00Z' })
  expect(limits(ada)).toMatchObject([
    { name: 'tokens-day', amount: 1000, timezone: 'UTC' },
    { name: 'big', unit: 'cost', amount: 5_500_000, window: 'month', timezone: 'Asia/Shanghai' },
  ])
  expect(limits(bob)).toMatchObject([{ name: 'big', amount: null }])
  const days = (Date.parse(String(bob?.['expires_at'])) - Date.now()) / 86_400_000
  expect(days).toBeGreaterThan(29.9)
  expect(days).toBeLessThan(30.1)
  expect(cleo).toMatchObject({ expires_at: null })
  expect(limits(cleo)).toMatchObject([{ name: 'big', amount: 1 }])
})

test('a file of Excel in GBK is refused by its encoding, and read if that is said; so is UTF-16', async () => {
  const dataDir = newDirectory()
  // "name,quota\n张三,1\n"
  const name = [0xd5, 0xc5, 0xc8, 0xfd]
  const gbk = Buffer.concat([Buffer.from('name,quota\n'), Buffer.from(name), Buffer.from(',1\n')])
  const path = join(temporaryDirectory(), 'excel.csv')
  writeFileSync(path, gbk)
  const refused = await run(['keys', 'import', path, '--create'], dataDir)
  expect(refused).toMatchObject({ out: '', code: 2 })
  expect(refused.err).toContain('is not UTF-8')
  expect(refused.err).toContain('--encoding gbk')
  expect(existsSync(dataDir)).toBe(false)
  const read = await run(['keys', 'import', path, '--encoding', 'gbk', '--create'], dataDir)
  expect(read.out).toContain(',张三,')
  writeFileSync(path, Buffer.from('\ufeffname,quota\n李四,1\n', 'utf16le'))
  expect((await run(['keys', 'import', path], dataDir)).out).toContain(',李四,')
})

test('a wrong column is named, and so is one that is missing or there twice', async () => {
  for (const [head, says] of [
    ['name,quota,emial', 'does not know "emial"'],
    ['name,quota,limit:tokens', 'does not know "limit:tokens"'],
    ['name,tags', 'lacks "quota"'],
    ['name,quota,quota', 'has "quota" twice'],
    ['name;quota', 'Separate the cells with commas'],
  ] as const) {
    const { out, err, code } = await run(
      ['keys', 'import', '-'],
      newDirectory(),
      `${head}\nx,1,1\n`,
    )
    expect({ out, code }).toEqual({ out: '', code: 2 })
    expect(err).toContain(says)
  }
})

test('with --key-column a second run issues only what is missing, and reports the rest', async () => {
  const dataDir = newDirectory()
  const csv = 'name,quota\nAda,1\nBob,1\n'
  await run(['keys', 'import', '-', '--create'], dataDir, csv)
  const again = await run(
    ['keys', 'import', '-', '--key-column', 'name'],
    dataDir,
    `${csv}Cleo,1\nCleo,1\n`,
  )
  expect(again).toMatchObject({ code: 0 })
  expect(again.err).toContain('3 rows are skipped: their name is there already.')
  expect(again.err).toContain('1 key was issued')
  expect((await keysOf(dataDir)).map(({ name }) => name)).toEqual(['Cleo', 'Bob', 'Ada'])
  const byKey = 'name,quota,key\nOld,1,legacy-key-0123456789\n'
  for (const issued of [1, 0]) {
    const { err } = await run(['keys', 'import', '-', '--key-column', 'key'], dataDir, byKey)
    expect(err).toContain(issued === 1 ? '1 key was issued' : '0 keys were issued')
    expect(err.includes('1 row is skipped: its key is there already.')).toBe(issued === 0)
  }
  // A server that says something else than that it has no such key is not taken for one that has none.
  const { url } = await startServer()
  const token = join(temporaryDirectory(), 'token')
  writeFileSync(token, randomBytes(32).toString('hex'))
  const there = ['keys', 'import', '-', '--key-column', 'key', '--dry-run']
  const stranger = await run([...there, '--url', url, '--token-file', token], dataDir, byKey)
  expect(stranger).toMatchObject({ out: '', code: 1 })
  expect(stranger.err).toContain('invalid_admin_token')
  const without = await run(['keys', 'import', '-', '--key-column', 'key'], dataDir, csv)
  expect(without).toMatchObject({ out: '', code: 2 })
})

test('a reader that leaves loses no key: what it did not read is not issued', async () => {
  const dataDir = newDirectory()
  const path = join(temporaryDirectory(), 'many.csv')
  writeFileSync(path, MANY)
  const line = [...COMMAND, 'keys', 'import', path, '--create'].map((word) => `'${word}'`).join(' ')
  const { out, err } = await runCommand(['sh', '-c', `${line} | head -2`], { DATA_DIR: dataDir })
  expect(out.split('\n')).toHaveLength(3)
  const said = /^([\d,]+) keys? w(?:as|ere) issued\. The key of line (\d+) was not/m.exec(err)
  expect(err).not.toMatch(/EPIPE|at .*\.ts/)
  const kept = (await keysOf(dataDir)).map(({ name }) => String(name)).reverse()
  // What the pipe took before `head` left; nobody can tell whether it was read.
  expect(kept.length).toBeGreaterThan(0)
  expect(kept.length).toBeLessThan(2_000)
  expect(Number(said?.[1]?.replace(',', ''))).toBe(kept.length)
  // The key that could not be written is taken back, and its line is where to go on.
  expect(kept.every((name, i) => name === `student-${i}`)).toBe(true)
  expect(Number(said?.[2])).toBe(kept.length + 2)
  const [, row = ''] = out.split('\n')
  expect(row).toContain(',student-0,')
  const rest = ['keys', 'import', path, '--from-line', String(kept.length + 2)]
  expect(await run(rest, dataDir)).toMatchObject({ code: 0 })
  expect((await keysOf(dataDir)).map(({ name }) => String(name)).reverse()).toEqual(
    Array.from({ length: 2_000 }, (_, i) => `student-${i}`),
  )
}, 60_000)

test('--output keeps every key in a file for its owner alone, instead of printing it', async () => {
  const dataDir = newDirectory()
  const path = join(temporaryDirectory(), 'many.csv')
  writeFileSync(path, MANY)
  const output = join(temporaryDirectory(), 'keys.csv')
  const args = ['keys', 'import', path, '--create', '--output', output]
  const { out, err } = await run(args, dataDir)
  // Nothing that anybody could read twice.
  expect(out).toBe('')
  expect(err).toContain(`2,000 keys were issued, and are in ${output};`)
  expect(statSync(output).mode & 0o777).toBe(0o600)
  expect(readFileSync(output, 'utf8').trim().split('\n')).toHaveLength(2_001)
  expect(await keysOf(dataDir)).toHaveLength(2_000)
  const again = await run(args, dataDir)
  expect(again).toMatchObject({ out: '', code: 2 })
  expect(again.err).toContain('is there already')
  expect(await keysOf(dataDir)).toHaveLength(2_000)
}, 60_000)

test('on a full disk no key is lost, and nothing that was not written passes for written', async () => {
  const dataDir = newDirectory()
  const onto = (target: string, ...args: string[]) => {
    const line = [...COMMAND, ...args].map((word) => `'${word}'`).join(' ')
    return runCommand(['sh', '-c', `${line} > ${target}`], { DATA_DIR: dataDir }, undefined, ROWS)
  }
  const lost = await onto('/dev/full', 'keys', 'import', '-', '--create')
  expect(lost.code).toBe(1)
  expect(lost.err).toContain('0 keys were issued. The key of line 2 was not')
  expect(lost.err).toContain('stdout cannot be written (ENOSPC).')
  expect(await keysOf(dataDir)).toEqual([])
  for (const args of [['keys', 'list', '--json'], ['usage', '--csv'], ['config']]) {
    const { err, code } = await onto('/dev/full', ...args)
    expect([args, code, err]).toEqual([
      args,
      1,
      'quota-proxy: stdout cannot be written (ENOSPC).\n',
    ])
  }
})

test('a list whose reader leaves ends quietly', async () => {
  const dataDir = newDirectory()
  await run(['keys', 'import', '-', '--create'], dataDir, MANY)
  for (const args of [
    ['keys', 'list', '--json'],
    ['keys', 'list'],
    ['usage', '--csv'],
    ['keys', 'export'],
  ]) {
    const line = [...COMMAND, ...args].map((word) => `'${word}'`).join(' ')
    const { err } = await runCommand(['sh', '-c', `${line} | head -1`], { DATA_DIR: dataDir })
    expect([args, err]).toEqual([args, ''])
  }
}, 30_000)

test('lines end as a shell has them, and with --bom as Excel has them, behind its mark', async () => {
  const csv = 'name,quota\n张三,1\n'
  const plain = await run(['keys', 'import', '-', '--create'], newDirectory(), csv)
  expect(plain.out).toMatch(/^line,id,name,key\n2,key_\w+,张三,trial_\w{36}\n$/)
  const path = join(temporaryDirectory(), 'new.csv')
  const args = ['keys', 'import', '-', '--create', '--bom']
  await run([...args, '--output', path], newDirectory(), csv)
  expect(readFileSync(path, 'utf8')).toMatch(
    /^\ufeffline,id,name,key\r\n2,key_\w+,张三,trial_\w{36}\r\n$/,
  )
  // What was written can be read again.
  expect((await run(['keys', 'import', path, '--dry-run'], newDirectory())).err).toContain('"line"')
  const both = await run([...args, '--json'], newDirectory(), csv)
  expect(both).toMatchObject({ out: '', code: 2 })
})

test('a name that a sheet would run as a formula is shown as text, as in every other CSV', async () => {
  const output = join(temporaryDirectory(), 'new.csv')
  const args = ['keys', 'import', '-', '--create']
  const { out } = await run(args, newDirectory(), 'name,quota\n=1+1,1\n')
  expect(out).toMatch(/^2,key_\w+,'=1\+1,trial_\w+$/m)
  await run([...args, '--output', output], newDirectory(), 'name,quota\n=1+1,1\n')
  expect(readFileSync(output, 'utf8')).toMatch(/^2,key_\w+,'=1\+1,trial_\w+$/m)
})
