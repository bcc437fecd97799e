/**
 * The engines by name. An engine's code is loaded when it is asked for, in its own process: no process carries the memory or the
 * threads of two.
 */
import type { Engine, EngineName } from './engine.js'

/** All names, in the order of the tables. */
export const ENGINE_NAMES: readonly EngineName[] = ['wk', 'classic-level', 'lmdb']

/** Whether there is an engine of this name. */
export function isEngineName(name: string): name is EngineName {
  return (ENGINE_NAMES as readonly string[]).includes(name)
}

/** Loads an engine. Rejects if its package is not installed, not built, or has no binary for this machine. */
export async function loadEngine(name: EngineName): Promise<Engine> {
  switch (name) {
    case 'wk':
      return (await import('./wk.js')).wk
    case 'classic-level':
      return (await import('./classic-level.js')).classicLevel
    case 'lmdb':
      return (await import('./lmdb.js')).lmdb
  }
}
