/**
 * What a database has to do on any runtime, on the build: writes of all sizes, flush, compaction, collection, iterators,
 * snapshots, the lock within and between processes, `SIGKILL` and recovery, `@wk/level`. Ends with one line of JSON: what the
 * runtime is, which lock, which of the optional packages, which warnings.
 *
 * `WK_COMMAND` is how to start a script on this runtime, as a JSON array; default: this process's executable.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DB } from '@wk/db'
import { WkLevel } from '@wk/level'

const SELF = fileURLToPath(import.meta.url)
const OPTIONS = { memTableSize: 256 * 1024, valueLogFileSize: 512 * 1024, tableSize: 64 * 1024, l0CompactionTrigger: 2 }
const command = JSON.parse(process.env.WK_COMMAND ?? JSON.stringify([process.execPath]))
const value = (i) => `${i} `.repeat((i * 31) % 900)
const key = (i) => String(i).padStart(6, '0')
const text = (bytes) => new TextDecoder().decode(bytes)

/** Starts this script anew in another mode. */
function child(mode, dir) {
  const [program, ...args] = command
  return spawn(program, [...args, SELF, mode, dir], { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function readAll(stream, onText) {
  for await (const chunk of stream) onText(String(chunk))
}

const modes = {
  /** Writes until it is killed, and says how far it was acknowledged. */
  async write(dir) {
    const db = await DB.open(dir, OPTIONS)
    for (let i = 0; ; i++) {
      await db.put(key(i), value(i))
      if (i % 100 === 99) process.stdout.write(`${i}\n`)
    }
  },

  /** Says how an open of a directory fails. */
  async open(dir) {
    const code = await DB.open(dir, OPTIONS).then((db) => db.close().then(() => 'open'), (error) => error.code)
    process.stdout.write(`${code}\n`)
  },

  async all(dir) {
    const warnings = []
    const left = await model(join(dir, 'model'), warnings)
    const lock = await locks(join(dir, 'lock'))
    await killed(join(dir, 'killed'))
    await level(join(dir, 'level'))
    const lz4 = await compression(join(dir, 'compressed'))
    console.log(JSON.stringify({ runtime: runtime(), lock, lz4, crc32: loads('@wk/codec', '@node-rs/crc32'), warnings, entries: left }))
  },
}

/** Random-looking work beside a Map, then the same after reopening. */
async function model(dir, warnings) {
  let db = await DB.open(dir, OPTIONS)
  db.on('warning', ({ code }) => warnings.push(code))
  const expected = new Map()
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 1500; i++) {
      const k = key((i * 7919 + round) % 2000)
      if (i % 11 === 10) {
        await db.del(k)
        expected.delete(k)
      } else {
        await db.put(k, value(i + round))
        expected.set(k, value(i + round))
      }
    }
    await db.batch([{ type: 'put', key: 'batch', value: String(round) }, { type: 'del', key: key(round) }])
    expected.set('batch', String(round)).delete(key(round))
  }
  const snapshot = db.snapshot()
  await db.put('batch', 'later')
  assert.equal(text(await db.get('batch', { snapshot })), '3')
  await snapshot.close()
  expected.set('batch', 'later')
  await db.flush()
  await db.compact()
  assert.ok((await db.gc({ maxSpaceAmp: 1.3 })).spaceAmp < 2)
  const check = async () => {
    const seen = new Map()
    for await (const [k, v] of db.iterator()) seen.set(text(k), text(v))
    assert.deepEqual([...seen], [...expected].sort(([a], [b]) => (a < b ? -1 : 1)))
    const backward = []
    for await (const k of db.keys({ reverse: true })) backward.push(text(k))
    assert.deepEqual(backward.reverse(), [...seen.keys()])
    for (const [k, v] of [...expected].slice(0, 200)) assert.equal(text(db.getSync(k)), v)
    assert.equal((await db.verify()).ok, true)
  }
  await check()
  await db.close()
  db = await DB.open(dir, OPTIONS)
  await check()
  await db.close()
  return expected.size
}

/** @returns the variant of the lock, from the line in LOCK */
async function locks(dir) {
  const db = await DB.open(dir)
  const variant = readFileSync(join(dir, 'LOCK'), 'utf8').trim().split(' ').at(-1)
  await assert.rejects(DB.open(dir), { code: 'WK_LOCKED' })
  let told = ''
  await readAll(child('open', dir).stdout, (chunk) => (told += chunk))
  assert.equal(told.trim(), 'WK_LOCKED')
  await db.close()
  await (await DB.open(dir)).close()
  return variant
}

async function killed(dir) {
  const writer = child('write', dir)
  const gone = once(writer, 'exit')
  let told = ''
  const read = readAll(writer.stdout, (chunk) => {
    told += chunk
    if (told.split('\n').length > 20) writer.kill('SIGKILL')
  })
  await read
  await gone
  const acknowledged = Number(told.trim().split('\n').at(-1))
  assert.ok(acknowledged > 1000)
  const db = await DB.open(dir, OPTIONS)
  let count = 0
  for await (const [k, v] of db.iterator()) {
    assert.equal(text(k), key(count))
    assert.equal(text(v), value(count))
    count++
  }
  assert.ok(count > acknowledged)
  await db.close()
}

async function level(dir) {
  const db = new WkLevel(dir, { valueEncoding: 'json' })
  const sublevel = db.sublevel('s', { valueEncoding: 'view' })
  await db.put('a', { b: 1 })
  await sublevel.put('large', new Uint8Array(100_000).fill(7))
  assert.deepEqual(await db.get('a'), { b: 1 })
  assert.equal((await sublevel.values().all())[0].length, 100_000)
  await db.close()
}

/** Values are compressed where lz4 is there, and refused at open where it is not. */
async function compression(dir) {
  const isThere = loads('@wk/vlog', 'lz4-napi')
  const opened = DB.open(dir, { ...OPTIONS, valueCompression: 'lz4' })
  if (!isThere) {
    await assert.rejects(opened, { code: 'WK_NOT_SUPPORTED' })
    return false
  }
  const db = await opened
  await db.put('a', 'x'.repeat(100_000))
  assert.equal((await db.get('a')).length, 100_000)
  assert.ok(db.stats().valueLogBytes < 10_000)
  await db.close()
  return true
}

/** Whether `dependency` of our package `owner` loads. */
function loads(owner, dependency) {
  try {
    createRequire(createRequire(import.meta.url).resolve(owner))(dependency)
    return true
  } catch {
    return false
  }
}

function runtime() {
  const { bun, deno, node } = process.versions
  return bun !== undefined ? `bun ${bun}` : deno !== undefined ? `deno ${deno}` : `node ${node}`
}

const [mode = 'all', dir = mkdtempSync(join(tmpdir(), 'wk-smoke-'))] = process.argv.slice(2)
await modes[mode](dir)
if (mode === 'all') rmSync(dir, { recursive: true, force: true })
