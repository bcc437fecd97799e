/**
 * The engines by name. An engine's code is loaded when it is asked for, in its own process: no process carries the memory or the
 * threads of two. A package that is not installed, or has no binary for this machine, is an absent engine, not an error.
 */
import type { Engine, EngineName } from './engine.js'

const LOADERS: Readonly<Record<EngineName, () => Promise<Engine>>> = {
  wk: async () => (await import('./wk.js')).wk,
  'wk-holes': async () => (await import('./wk.js')).wkHoles,
  'wk-copies': async () => (await import('./wk.js')).wkCopies,
  'wk-gc-off': async () => (await import('./wk.js')).wkGcOff,
  'wk-gc-loop': async () => (await import('./wk.js')).wkGcLoop,
  'classic-level': async () => (await import('./classic-level.js')).classicLevel,
  lmdb: async () => (await import('./lmdb.js')).lmdb,
  rocksdb: async () => (await import('./rocksdb.js')).rocksdb,
  'rocksdb-blobs': async () => (await import('./rocksdb.js')).rocksdbBlobs,
  'level-blobs': async () => (await import('./level-blobs.js')).levelBlobs,
  'lmdb-blobs': async () => (await import('./lmdb-blobs.js')).lmdbBlobs,
  files: async () => (await import('./plain-files.js')).plainFiles,
  null: async () => (await import('./null.js')).nullEngine,
}

/** All names, in the order of the tables. */
export const ENGINE_NAMES = Object.keys(LOADERS) as readonly EngineName[]

/** The engine's package cannot be loaded on this machine. */
export class AbsentEngineError extends Error {
  override readonly name = 'AbsentEngineError'
}

/** Whether there is an engine of this name. */
export function isEngineName(name: string): name is EngineName {
  return (ENGINE_NAMES as readonly string[]).includes(name)
}

/** Loads an engine. Rejects with {@link AbsentEngineError} if its package is not installed, or has no binary for this machine. */
export async function loadEngine(name: EngineName): Promise<Engine> {
  try {
    return await LOADERS[name]()
  } catch (cause) {
    const message = cause instanceof Error ? cause.message.split('\n')[0] : String(cause)
    throw new AbsentEngineError(`${name} cannot be loaded here: ${message}`, { cause })
  }
}
