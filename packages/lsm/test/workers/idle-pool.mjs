/** A process that closes its tree, and not the pool that ran its jobs: it must end by itself. Prints how many threads are left. */
import { NodeFileSystem } from '@wk/fs'
import { PlainEngine, WorkerPool } from '@wk/lsm'

const workers = new WorkerPool()
const engine = await PlainEngine.open(process.argv[2], { fs: new NodeFileSystem(), workers, memTableSize: 8 << 20 })
const value = new Uint8Array(100)
await engine.batch(Array.from({ length: 20_000 }, (_, i) => ({ type: 'put', key: new TextEncoder().encode(`key${i}`), value })))
await engine.flush()
await engine.close()
console.log(`closed, threads ${workers.threads}`)
