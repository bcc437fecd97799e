import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { EncryptedFileSystem, FaultFileSystem, MemoryFileSystem, NodeFileSystem, ScheduledFileSystem, TraceFileSystem } from '../src/index.js'
import type { FileSystem, LockVariant } from '../src/index.js'
import { fileSystemConformance } from '../src/conformance.js'
import type { ConformanceSubject } from '../src/conformance.js'
import { loadNativeExtensions } from '../src/native-extensions.js'

const api = { describe, test }

function onDisk(make: () => FileSystem): () => Promise<ConformanceSubject> {
  return async () => {
    const dir = await mkdtemp(join(tmpdir(), 'wk-fs-'))
    return { fs: make(), dir, dispose: () => rm(dir, { recursive: true, force: true }) }
  }
}

function inMemory(make: () => FileSystem): () => Promise<ConformanceSubject> {
  return async () => {
    const fs = make()
    await fs.mkdir('/db')
    return { fs, dir: '/db' }
  }
}

const exclusiveOnly = { 'shared locks exclude an exclusive one': 'this variant gives exclusive locks only' }

/** Bun and Deno, and Node where the package is absent, take the socket or the pid file. */
const nativeGaps = loadNativeExtensions() === undefined ? exclusiveOnly : {}

fileSystemConformance(api, 'node', onDisk(() => new NodeFileSystem()), { knownGaps: nativeGaps })
for (const lockVariant of ['socket', 'pidfile'] satisfies LockVariant[]) {
  if (lockVariant === 'socket' && process.platform !== 'linux') continue
  fileSystemConformance(api, `node, ${lockVariant} lock`, onDisk(() => new NodeFileSystem({ lockVariant })), {
    knownGaps: exclusiveOnly,
  })
}
fileSystemConformance(api, 'memory', inMemory(() => new MemoryFileSystem()))
fileSystemConformance(api, 'memory, late copy', inMemory(() => new MemoryFileSystem({ lateCopy: true })))
fileSystemConformance(api, 'memory, not crashable', inMemory(() => new MemoryFileSystem({ crashable: false })))
fileSystemConformance(api, 'fault(memory)', inMemory(() => new FaultFileSystem(new MemoryFileSystem())))
fileSystemConformance(api, 'trace(memory)', inMemory(() => new TraceFileSystem(new MemoryFileSystem())))
fileSystemConformance(api, 'scheduled(memory)', inMemory(() => new ScheduledFileSystem(new MemoryFileSystem(), 7)))
const noGaps = {
  'a gap reads as zeros': 'an encrypted file has no gaps',
  'truncate cuts, and extends with zeros': 'an encrypted file cannot be extended by zeros',
}
const encrypt = (inner: FileSystem): FileSystem => new EncryptedFileSystem(inner, new Uint8Array(32).fill(9), /^/)
fileSystemConformance(api, 'encrypted(memory)', inMemory(() => encrypt(new MemoryFileSystem())), { knownGaps: noGaps })
fileSystemConformance(api, 'encrypted(node)', onDisk(() => encrypt(new NodeFileSystem())), { knownGaps: { ...noGaps, ...nativeGaps } })
fileSystemConformance(api, 'trace(fault(node))', onDisk(() => new TraceFileSystem(new FaultFileSystem(new NodeFileSystem()))), { knownGaps: nativeGaps })
fileSystemConformance(
  api,
  'memory with short reads and writes',
  inMemory(() => {
    const short = [1, 7, 512].map((bytes, index) => ({ operation: ['read', 'write'] as const, short: bytes, index: index * 50, times: 50 }))
    return new FaultFileSystem(new MemoryFileSystem(), short)
  }),
  { knownGaps: { 'close waits for the operations in flight': 'a write that goes on after a short one finds the file closed' } },
)
