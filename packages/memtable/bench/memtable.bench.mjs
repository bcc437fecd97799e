/**
 * Memtable against other ordered maps: insert in random order, get in another random order, scan; CPU ns an operation.
 *
 *   pnpm --filter @wk/memtable build && node packages/memtable/bench/memtable.bench.mjs [entries=200000] [rounds=3]
 *
 * Candidates: the B+tree of this package; a skip list over typed arrays (two key words in the node, the rest in the
 * record), the classic choice; a Map by latin1 string that is sorted when it is read in order. Keys are 16 bytes,
 * random (`rand16`) or zero-padded decimal (`dec16`); payloads are 12-byte pointers. Rounds interleave; medians.
 */
import { Memtable } from '../dist/index.js'
import { newLookupResult } from '@wk/codec'

const entries = Number(process.argv[2] ?? 200_000)
const rounds = Number(process.argv[3] ?? 3)
const key = new Uint8Array(16)
const payload = new Uint8Array(12)

function mix(x) {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}

const makers = {
  rand16(i) {
    for (let word = 0; word < 4; word++) {
      const bits = mix(i * 4 + word + 1)
      for (let b = 0; b < 4; b++) key[word * 4 + b] = bits >>> (b * 8)
    }
  },
  dec16(i) {
    let rest = mix(i + 1) % 1_000_000_000
    for (let b = 15; b >= 0; b--) {
      key[b] = 48 + (rest % 10)
      rest = Math.floor(rest / 10)
    }
  },
}

class SkipList {
  constructor(capacity) {
    this.bytes = new Uint8Array(new SharedArrayBuffer(capacity))
    this.nodes = new Int32Array(new SharedArrayBuffer(capacity))
    this.tail = 0
    this.nodeTail = 4 + 16
    this.height = 1
    this.state = 1
    this.update = new Int32Array(16)
  }
  compare(node, k, w0, w1) {
    const a = this.nodes[node]
    if (a !== w0) return a < w0 ? -1 : 1
    const b = this.nodes[node + 1]
    if (b !== w1) return b < w1 ? -1 : 1
    const at = this.nodes[node + 2]
    for (let i = 8; i < 16; i++) {
      const d = this.bytes[at + i] - k[i]
      if (d !== 0) return d
    }
    return 0
  }
  find(k) {
    const w0 = ((k[0] << 24) | (k[1] << 16) | (k[2] << 8) | k[3]) ^ 0x80000000
    const w1 = ((k[4] << 24) | (k[5] << 16) | (k[6] << 8) | k[7]) ^ 0x80000000
    this.w0 = w0
    this.w1 = w1
    let node = 0
    for (let level = this.height - 1; level >= 0; level--) {
      for (;;) {
        const next = this.nodes[node + 4 + level]
        if (next === 0 || this.compare(next, k, w0, w1) >= 0) break
        node = next
      }
      this.update[level] = node
    }
    return this.nodes[node + 4]
  }
  add(k) {
    this.find(k)
    let height = 1
    this.state = (Math.imul(this.state, 1664525) + 1013904223) | 0
    for (let bits = this.state >>> 8; (bits & 3) === 0 && height < 12; bits >>>= 2) height++
    while (this.height < height) this.update[this.height++] = 0
    const record = this.tail
    this.bytes.set(k, record)
    this.bytes.set(payload, record + 16)
    this.tail += 28
    const node = this.nodeTail
    this.nodeTail += 4 + height
    this.nodes[node] = this.w0
    this.nodes[node + 1] = this.w1
    this.nodes[node + 2] = record
    for (let level = 0; level < height; level++) {
      this.nodes[node + 4 + level] = this.nodes[this.update[level] + 4 + level]
      this.nodes[this.update[level] + 4 + level] = node
    }
  }
  get(k) {
    const node = this.find(k)
    return node !== 0 && this.compare(node, k, this.w0, this.w1) === 0
  }
  scan() {
    let steps = 0
    for (let node = this.nodes[4]; node !== 0; node = this.nodes[node + 4]) steps++
    return steps
  }
}

const candidates = {
  'B+tree arena'() {
    const table = new Memtable({ capacity: entries * 110 + 1_000_000 })
    const out = newLookupResult()
    let sequence = 0
    return {
      add: () => table.add(key, ++sequence, 2, payload),
      get: () => table.get(key, sequence, out),
      scan() {
        let steps = 0
        const cursor = table.cursor()
        for (cursor.first(); cursor.valid; cursor.next()) steps++
        return steps
      },
      bytes: () => table.usedBytes,
    }
  },
  'skip list'() {
    const list = new SkipList(entries * 64 + 1_000_000)
    return { add: () => list.add(key), get: () => list.get(key), scan: () => list.scan(), bytes: () => list.tail + list.nodeTail * 4 }
  },
  'Map + sort'() {
    const map = new Map()
    let sorted
    return {
      add: () => map.set(Buffer.from(key.buffer).latin1Slice(), payload.slice()),
      get: () => map.has(Buffer.from(key.buffer).latin1Slice()),
      scan() {
        sorted = [...map.keys()].sort()
        return sorted.length
      },
      bytes: () => NaN,
    }
  },
}

/** CPU time, not the clock: other work on the machine then counts for less. */
function perOperation(count, run) {
  const start = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(start)
  return ((user + system) * 1000) / count
}

const median = (list) => list.sort((a, b) => a - b)[list.length >>> 1]
console.log(`${entries} entries, ${rounds} rounds after one discarded, ${process.version}; ns of CPU per operation`)
for (const [kind, make] of Object.entries(makers)) {
  const harness = perOperation(entries, () => {
    for (let i = 0; i < entries; i++) make(i)
  })
  const results = {}
  for (let round = 0; round <= rounds; round++) {
    for (const [name, create] of Object.entries(candidates)) {
      const map = create()
      const insert = perOperation(entries, () => {
        for (let i = 0; i < entries; i++) {
          make(i)
          map.add()
        }
      })
      let found = 0
      const get = perOperation(entries, () => {
        for (let i = 0; i < entries; i++) {
          make(mix(i) % entries)
          if (map.get()) found++
        }
      })
      if (found !== entries) throw new Error(`${name}: found ${found} of ${entries}`)
      let steps = 0
      const scan = perOperation(entries, () => (steps = map.scan()))
      if (steps > entries) throw new Error(`${name}: ${steps} steps`)
      if (round > 0) (results[name] ??= []).push({ insert: insert - harness, get: get - harness, scan, bytes: map.bytes() / entries })
    }
  }
  for (const [name, list] of Object.entries(results)) {
    const row = ['insert', 'get', 'scan', 'bytes'].map((f) => `${f} ${median(list.map((r) => r[f])).toFixed(0)}`)
    console.log(`${kind}  ${name.padEnd(14)} ${row.join('  ')}`)
  }
}
