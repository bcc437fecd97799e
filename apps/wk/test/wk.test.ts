import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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
  if (request === undefined) throw new Error('no request')
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
  it('refuses what cannot be meant', () => {
    for (const args of [[], ['fly', dir], ['dump'], ['repair', dir], ['dump', dir, '--limit', '-1'], ['dump', dir, '--unknown']]) {
      expect(() => parseArguments(args), args.join(' ')).toThrow(UsageError)
    }
  })
})
