/**
 * A process that uses a tree on real files and never closes it: it must not end before what it awaits, and must end by itself
 * after that. Prints what it got to, and how many threads it had before and after.
 */
import { KIND_VALUE } from '@wk/codec'
import { NodeFileSystem } from '@wk/fs'
import { LsmTree, NO_DEPENDENCY, WorkerExecutor } from '@wk/lsm'

const fs = new NodeFileSystem()
const executor = new WorkerExecutor({ fs, runtime: (await import('@wk/fs')).defaultRuntime })
const tree = await LsmTree.open(process.argv[2], { fs, executor, memTableSize: 8 << 20 })
const value = new Uint8Array(100)
for (let i = 0; i < 20_000; i++) tree.stage(KIND_VALUE, new TextEncoder().encode(`key${(i * 7919) % 20_000}`), value)
await tree.writeGroup(tree.takeGroup(), NO_DEPENDENCY)
const before = executor.threads
await tree.flush()
console.log(`flushed ${tree.stats().tableEntries}, threads ${before} to ${executor.threads}`)
