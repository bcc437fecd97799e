/**
 * Clients of Level as they are in the wild, killed in the middle (`SIGKILL`) and looked at afterwards: blockstore-level, and an index in
 * sublevels read by level-read-stream.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { WkLevel } from '@wk/level'
import { LevelBlockstore } from 'blockstore-level'
import { EntryStream, KeyStream } from 'level-read-stream'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { afterEach, expect, it } from 'vitest'

const ROUNDS = 3
let dir: string
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Lets a client work on `dir` for a while, kills it, and returns the lines that it printed in full. */
async function killed(script: string): Promise<string[]> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`clients/${script}`, import.meta.url)), dir], { stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = once(child, 'close')
  let told = ''
  child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()))
  while (told.split('\n').length < 500 && child.exitCode === null) await sleep(20)
  await sleep(Math.random() * 200)
  child.kill('SIGKILL')
  const [, signal] = (await gone) as [number | null, string | null]
  expect(signal).toBe('SIGKILL')
  return told.split('\n').slice(0, -1)
}

it('blockstore-level has every block that it acknowledged, whole, after each of several kills', async () => {
  dir = mkdtempSync(join(tmpdir(), 'wk-blocks-'))
  const acknowledged: string[] = []
  for (let round = 0; round < ROUNDS; round++) {
    acknowledged.push(...(await killed('blocks-child.mjs')))
    const store = new LevelBlockstore(new WkLevel<string, Uint8Array>(dir, { keyEncoding: 'utf8', valueEncoding: 'view' }) as never)
    await store.open()
    const present = new Set<string>()
    for await (const { cid, bytes } of store.getAll()) {
      let block = new Uint8Array(0)
      for await (const part of bytes) block = new Uint8Array(Buffer.concat([block, part]))
      expect((await sha256.digest(block)).bytes).toEqual(cid.multihash.bytes)
      present.add(cid.multihash.toString())
    }
    for (const text of acknowledged) expect(present.has(CID.parse(text).multihash.toString()), text).toBe(true)
    await store.close()
  }
  expect(acknowledged.length).toBeGreaterThan(1000)
})

interface Person {
  id: string
  town: string
  revision: number
  text: string
}

it('an index that a hook keeps in another sublevel agrees with its records after each of several kills', async () => {
  dir = mkdtempSync(join(tmpdir(), 'wk-index-'))
  for (let round = 0; round < ROUNDS; round++) {
    const acknowledged = new Map((await killed('index-child.mjs')).map((line) => [line.split(' ')[0] as string, Number(line.split(' ')[1])]))
    await using db = new WkLevel(dir)
    const people = db.sublevel<string, Person>('people', { valueEncoding: 'json' })
    const byTown = db.sublevel('town')
    const seen = new Map<string, Person>()
    for await (const { key, value } of new EntryStream(people) as AsyncIterable<{ key: string; value: Person }>) seen.set(key, value)
    for (const [id, revision] of acknowledged) expect(seen.get(id)?.revision, id).toBeGreaterThanOrEqual(revision)
    for (const { text, revision } of seen.values()) expect(text).toBe('x'.repeat((revision * 37) % 4000))
    const indexed: string[] = []
    for await (const key of new KeyStream(byTown) as AsyncIterable<string>) indexed.push(key)
    expect(indexed).toEqual([...seen.values()].map(({ id, town }) => `${town}!${id}`).sort())
    await db.clear()
  }
})
