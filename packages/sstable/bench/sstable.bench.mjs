/**
 * A table of 16-byte keys and value pointers, under several options: CPU ns an operation, and what it weighs.
 *
 *   pnpm --filter @wk/sstable build && node packages/sstable/bench/sstable.bench.mjs [entries=200000] [rounds=3]
 *
 * `write` and the two scans are per entry, `get` finds a random key with all blocks cached, `cold` the same without a
 * block cache (the file is in the page cache), `miss` asks for keys that are not there. Medians; rounds interleave.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newLookupResult, writePointer } from '@wk/codec'
import { NodeFileSystem } from '@wk/fs'
import { BlockCache, TableReader, TableWriter } from '../dist/index.js'

const entries = Number(process.argv[2] ?? 200_000)
const rounds = Number(process.argv[3] ?? 3)
const fs = new NodeFileSystem()
const dir = mkdtempSync(join(tmpdir(), 'wk-sstable-bench-'))
const key = new Uint8Array(16)
const payload = new Uint8Array(12)

function mix(x) {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

/** Key i in order: a counter in the upper half, noise below. */
function make(i) {
  const spread = i * 21_000
  for (let b = 0; b < 4; b++) key[b] = spread >>> (24 - b * 8)
  for (let w = 1; w < 4; w++) {
    const bits = mix(i * 4 + w)
    for (let b = 0; b < 4; b++) key[w * 4 + b] = bits >>> (b * 8)
  }
}

function perOperation(count, run) {
  const start = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(start)
  return ((user + system) * 1000) / count
}

const variants = {
  'default (4 KiB, 16)': {},
  'restart interval 8': { restartInterval: 8 },
  'restart interval 32': { restartInterval: 32 },
  '16 KiB blocks': { blockSize: 16_384 },
  'no filter': { bloomBitsPerKey: 0 },
  lz4: { compression: 'lz4' },
}

const median = (list) => list.sort((a, b) => a - b)[list.length >>> 1]
const results = {}
let number = 0
for (let round = 0; round <= rounds; round++) {
  for (const [name, options] of Object.entries(variants)) {
    const path = join(dir, `${++number}.sst`)
    const file = fs.openSync(path, 'create')
    let summary
    const write = perOperation(entries, () => {
      const writer = new TableWriter(file, { fileNumber: number, ...options })
      for (let i = 0; i < entries; i++) {
        make(i)
        writePointer(payload, 0, 1, mix(i) >>> 2, 1060)
        writer.add(key, 0, 16, i + 1, 2, payload, 0, 12)
      }
      summary = writer.finish()
    })
    const table = TableReader.openSync(file, number, summary.size, { cache: new BlockCache(1 << 30) })
    const out = newLookupResult()
    const lookups = (reader, count) =>
      perOperation(count, () => {
        for (let i = 0; i < count; i++) {
          make(mix(i) % entries)
          if (!reader.get(key, 2 ** 40, out)) throw new Error('a key is missing')
        }
      })
    const walk = (first, step) => {
      const cursor = table.cursor()
      return perOperation(entries, () => {
        for (cursor[first](); cursor.valid; cursor[step]());
      })
    }
    lookups(table, entries)
    const get = lookups(table, entries)
    const cold = lookups(TableReader.openSync(file, number, summary.size), Math.min(entries, 20_000))
    const miss = perOperation(entries, () => {
      for (let i = 0; i < entries; i++) {
        make(mix(i) % entries)
        key[15] ^= 1
        table.get(key, 2 ** 40, out)
      }
    })
    const row = { write, get, cold, miss, forward: walk('first', 'next'), backward: walk('last', 'prev'), disk: summary.size / entries, memory: table.memory / entries }
    file.closeSync()
    rmSync(path)
    if (round > 0) (results[name] ??= []).push(row)
  }
}
rmSync(dir, { recursive: true })
console.log(`${entries} entries, ${rounds} rounds after one discarded, ${process.version}; ns of CPU per operation, bytes per entry`)
for (const [name, rows] of Object.entries(results)) {
  const cells = Object.keys(rows[0]).map((field) => `${field} ${median(rows.map((row) => row[field])).toFixed(field === 'memory' ? 1 : 0)}`)
  console.log(`${name.padEnd(20)} ${cells.join('  ')}`)
}
