/**
 * What outlives the killed process: starts it, kills it at a moment, reads its journal, and judges the directory that is
 * left, first without touching it, then with recovery. What survived is the history from then on.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { openBounded, type BoundedOptions } from '@wk/db/testing'
import { CrashOracle, endlessStep, isEndlessKey, KILLED, type KeyText, readAll, type Rng } from '@wk/testkit'
import { childPath } from '../child-path.js'
import type { KillRequest } from './kill-child.js'

/** When to kill: after a word that the child says, how often it says it first, and a delay in milliseconds after it. */
export interface Moment {
  readonly word: string
  readonly skip: number
  readonly delay: number
}

/**
 * Draws a moment: more than every third in a collection or compaction, some while opening; of a child that rewrites pointers, or
 * fills gaps, some in that.
 */
export function drawMoment(rng: Rng, rare?: 'readdress' | 'filled'): Moment {
  const word = rng.pick(['opening', 'open', 'open', 'flush', 'compact', 'compact', 'gc', 'gc', 'gc', ...(rare === undefined ? [] : [rare, rare, rare])])
  if (word === 'opening') return { word, skip: 0, delay: rng.below(12) }
  if (word === 'open') return { word, skip: 0, delay: rng.below(200) }
  return { word, skip: rng.below(4), delay: rng.below(6) }
}

/** What else there is to a directory. */
export interface KillOptions {
  /** Options of the child and of whoever judges. Default: {@link KILLED}. */
  readonly options?: BoundedOptions
  /** Judges the keys that are not of the endless workload; without it there may be none. Returns what is wrong. */
  readonly beside?: (others: ReadonlyMap<KeyText, Uint8Array>) => string | undefined
}

/** How often a child said that it began to rewrite pointers, or that it had written into gaps. */
export function saidIn(output: string, word: 'readdress' | 'filled'): number {
  return output.split('\n').filter((line) => line === word).length
}

/** One directory, and everything that was ever called on it. */
export class KillLoop {
  readonly #dir: string
  readonly #options: BoundedOptions
  readonly #beside: KillOptions['beside']
  readonly #journal: string
  readonly #seed: number
  readonly #oracle = new CrashOracle()
  #survived = 0
  /** How often a child began to rewrite pointers. */
  readdressings = 0
  /** How often a child had written into gaps. */
  fillings = 0

  constructor(place: string, seed: number, { options = KILLED, beside }: KillOptions = {}) {
    this.#dir = join(place, 'db')
    this.#journal = join(place, 'journal')
    this.#seed = seed
    this.#options = { ...options, workerUrl: childPath('worker') }
    this.#beside = beside
  }

  /** Runs the child and kills it at the moment. Throws if it ended by itself. */
  async killAt(moment: Moment): Promise<void> {
    const { signal, errors } = await this.#run({}, moment)
    if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${errors}`)
  }

  /** Runs the child for so many steps; it kills itself at its n-th deadly call. Returns how many calls there are if it lived. */
  async killAtCall(killAt: number, steps: number): Promise<number | undefined> {
    const { signal, errors, output } = await this.#run({ killAt, steps })
    if (signal === 'SIGKILL') return undefined
    const calls = /^calls (\d+)$/m.exec(output)?.[1]
    if (calls === undefined) throw new Error(`the child ended by itself: ${errors}`)
    return Number(calls)
  }

  async #run(more: Partial<KillRequest>, moment?: Moment): Promise<{ signal: string | null; errors: string; output: string }> {
    const request: KillRequest = { dir: this.#dir, journal: this.#journal, seed: this.#seed, first: this.#survived, options: this.#options, ...more }
    const child = spawn(process.execPath, [childPath('kill-child'), JSON.stringify(request)], { stdio: ['ignore', 'pipe', 'pipe'] })
    let errors = ''
    let output = ''
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    const gone = once(child, 'exit') as Promise<[number | null, string | null]>
    // A word that does not come, because the child is slow, must not hold up the check.
    const late = moment === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), 3000)
    let seen = 0
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      if (moment === undefined) return
      const said = output.split('\n').slice(0, -1)
      if (said.length === seen) return
      seen = said.length
      if (said.filter((line) => line === moment.word).length > moment.skip) setTimeout(() => child.kill('SIGKILL'), moment.delay)
    })
    const [, signal] = await gone
    clearTimeout(late)
    this.readdressings += saidIn(output, 'readdress')
    this.fillings += saidIn(output, 'filled')
    return { signal, errors, output }
  }

  /** Judges what is left. Undefined: sound. */
  async judge(readOnlyOnly: boolean): Promise<string | undefined> {
    const oracle = this.#oracle
    for (const line of existsSync(this.#journal) ? readFileSync(this.#journal, 'utf8').split('\n').slice(0, -1) : []) {
      const step = Number(line.slice(2)) + 1
      while (oracle.called < step) oracle.record(endlessStep(this.#seed, oracle.called))
      if (line.startsWith('a')) oracle.acknowledge(step, false)
    }
    const bounds = oracle.bounds(true)
    if (!existsSync(join(this.#dir, 'CURRENT')) && bounds.must === 0) return undefined
    // First without touching anything: the image stays as the kill left it. Then with recovery, twice.
    for (const readOnly of readOnlyOnly ? [true] : [true, false, false]) {
      try {
        const db = await openBounded(this.#dir, { ...this.#options, readOnly })
        try {
          const visible = await readAll(db)
          if (this.#beside !== undefined) {
            const others = new Map([...visible].filter(([key]) => !isEndlessKey(key)))
            for (const key of others.keys()) visible.delete(key)
            const wrong = this.#beside(others)
            if (wrong !== undefined) return wrong
          }
          const verdict = oracle.check(visible, bounds)
          if (!verdict.ok) return `law ${verdict.law}: ${verdict.message}`
          this.#survived = verdict.steps
          const verified = await db.verify()
          if (!verified.ok) return `verify: ${JSON.stringify(verified.problems.slice(0, 3))}`
        } finally {
          await db.close()
        }
      } catch (error) {
        return `does not open (readOnly ${readOnly}): ${error instanceof Error ? error.message : String(error)}`
      }
    }
    return undefined
  }
}
