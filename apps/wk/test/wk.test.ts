import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DB } from '@wk/db'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseArguments, UsageError } from '../src/cli.js'
import { run } from '../src/commands.js'

let parent: string
let dir: string
beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), 'wk-cli-'))
  dir = join(parent, 'db')
  const db = await DB.open(dir, { workers: 0, valueThreshold: 64 })
  await db.put('a', 'first')
  await db.put('b', new Uint8Array(100).fill(0xff))
  await db.put('c', 'third')
  await db.close()
})
afterEach(() => rmSync(parent, { recursive: true, force: true }))

async function wk(...args: string[]): Promise<{ status: number; out: string }> {
  let out = ''
  const request = parseArguments(args)
  if (typeof request === 'string') return { status: 0, out: request }
  const status = await run(request, async (text) => void (out += text))
  return { status, out }
}

function damage(suffix: string): void {
  const path = join(dir, readdirSync(dir).find((name) => name.endsWith(suffix)) as string)
  const bytes = readFileSync(path)
  bytes[40] = (bytes[40] as number) ^ 0xff
  writeFileSync(path, bytes)
}

describe('wk', () => {
  it('dumps a range, as text or digits, with or without values', async () => {
    const { out } = await wk('dump', dir, '--gte', 'b')
    expect(out).toBe(`{"key":"b","value":{"hex":"${'ff'.repeat(100)}"}}\n{"key":"c","value":"third"}\n`)
    expect((await wk('dump', dir, '--keys', '--reverse', '--limit', '2')).out).toBe('{"key":"c"}\n{"key":"b"}\n')
  })
  it('prints statistics', async () => {
    expect((await wk('stats', dir)).out).toMatch(/tables: 1\n/)
  })
  it('verifies: status 1 on damage', async () => {
    expect(await wk('verify', dir)).toMatchObject({ status: 0, out: expect.stringMatching(/^ok: 1 tables, 1 value logs/) as string })
    damage('.vlog')
    expect(await wk('verify', dir)).toMatchObject({ status: 1, out: expect.stringMatching(/^000001\.vlog:20 WK_CORRUPTION/) as string })
  })
  it('repairs: status 1 and the key where something was lost', async () => {
    damage('.vlog')
    const { status, out } = await wk('repair', dir, '--to', join(parent, 'saved'))
    expect(status).toBe(1)
    expect(out).toMatch(/lost: 000001\.vlog:20: keys "b" to "b"/)
    expect((await wk('dump', join(parent, 'saved'), '--keys')).out).toBe('{"key":"a"}\n{"key":"c"}\n')
  })
  it('takes keys and directories as they are typed, also where they look like numbers, or are empty', async () => {
    const to = join(parent, '123')
    const db = await DB.open(to, { workers: 0 })
    for (const key of ['', '007', '0x10', '1e3']) await db.put(key, '')
    await db.close()
    for (const key of ['007', '0x10', '1e3']) expect((await wk('dump', to, '--keys', '--gte', key, '--lte', key)).out).toBe(`{"key":"${key}"}\n`)
    for (const args of [['--lte', ''], ['--lte=']]) expect((await wk('dump', to, '--keys', ...args)).out).toBe('{"key":""}\n')
    expect(parseArguments(['repair', '7', '--to', '123'])).toMatchObject({ dir: '7', to: '123' })
  })
  it('tells what there is to ask for', async () => {
    for (const command of ['stats', 'verify', 'dump', 'repair']) {
      expect((await wk('--help')).out).toContain(`wk ${command} <dir>`)
      expect((await wk(command, '-h')).out).toContain('--key-file <file>')
    }
    expect((await wk('stats', '--help')).out).not.toContain('--limit')
  })
  it('ends without a word when nobody reads its answer', async () => {
    const db = await DB.open(dir, { workers: 0 })
    for (let i = 0; i < 3000; i++) await db.put(`key ${i}`, 'x'.repeat(100))
    await db.close()
    const child = spawn(process.execPath, [fileURLToPath(new URL('../dist/main.js', import.meta.url)), 'dump', dir], { stdio: ['ignore', 'pipe', 'pipe'] })
    let complaint = ''
    child.stderr.on('data', (text) => (complaint += String(text)))
    child.stdout.once('data', () => child.stdout.destroy())
    expect((await once(child, 'close'))[0]).toBe(2)
    expect(complaint).toBe('')
  })
  it('refuses what cannot be meant', () => {
    for (const args of [[], ['fly', dir], ['toString', dir], ['dump'], ['repair', dir], ['repair', dir, '--to'], ['repair', dir, '--to', ''], ['dump', dir, '--limit', '-1'], ['dump', dir, '--limit', ''], ['dump', dir, '--unknown'], ['dump', dir, '--gte'], ['stats', dir, '--limit', '1'], ['stats', dir, dir], ['stats', dir, '--key-file', join(dir, 'none')]]) {
      expect(() => parseArguments(args), args.join(' ')).toThrow(UsageError)
    }
  })
})
