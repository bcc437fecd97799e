/**
 * The process that is killed: opens the database and writes the endless workload from a given step on, with flush,
 * compaction and collection beside it. Every call and every acknowledgement is a line of an append-only file, which
 * outlives this process; what it is about to do is a line on stdout, so that it can be killed at that. With `killAt` it
 * kills itself instead, before or after that sync, rename, unlink or truncation.
 */
import { subscribe } from 'node:diagnostics_channel'
import { openSync, writeSync } from 'node:fs'
import { GC_CHANNEL, type GcEvent, WkError } from '@wk/db'
import { openBounded, type BoundedOptions } from '@wk/db/testing'
import { InterceptedFileSystem, MemoryFileSystem, NodeFileSystem, type Operation } from '@wk/fs'
import { endlessStep, writeStep } from '@wk/testkit'

/** The only argument, as JSON. */
export interface KillRequest {
  readonly dir: string
  readonly journal: string
  readonly seed: number
  /** The first step to write. */
  readonly first: number
  /** Ends by itself after so many steps; absent: never. */
  readonly steps?: number
  readonly options: BoundedOptions
  /** Every so many steps one is synced: those whose number, counted from 1, it divides. Default 50. */
  readonly syncEvery?: number
  /** Keep the database in a file system in memory. */
  readonly memory?: boolean
  /** Kill at this sync, rename, unlink or truncation, counted from 0; -1 counts only. */
  readonly killAt?: number
}

/** Kills the process at the n-th call that makes something durable or takes something away; before it, or after it where n is odd. */
class DeadlyFileSystem extends InterceptedFileSystem {
  readonly #at: number
  count = 0

  constructor(at: number) {
    super(new NodeFileSystem(), 'deadly')
    this.#at = at
  }

  async around<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    const isHit = this.#isHit(operation)
    if (isHit && this.#at % 2 === 0) process.kill(process.pid, 'SIGKILL')
    const result = await run()
    if (isHit) process.kill(process.pid, 'SIGKILL')
    return result
  }

  aroundSync<T>(operation: Operation, run: () => T): T {
    if (this.#isHit(operation)) process.kill(process.pid, 'SIGKILL')
    return run()
  }

  #isHit({ kind }: Operation): boolean {
    return (kind === 'sync' || kind === 'syncDir' || kind === 'rename' || kind === 'remove' || kind === 'truncate') && this.count++ === this.#at
  }
}

async function main(request: KillRequest): Promise<void> {
  const { dir, seed, first, steps = Infinity, syncEvery = 50 } = request
  const journal = openSync(request.journal, 'a')
  const say = (word: string): boolean => process.stdout.write(`${word}\n`)
  const note = (kind: string, step: number): number => writeSync(journal, `${kind} ${step}\n`)
  const deadly = request.killAt === undefined ? undefined : new DeadlyFileSystem(request.killAt)
  const fs = request.memory === true ? new MemoryFileSystem({ crashable: false }) : deadly
  say('opening')
  const db = await openBounded(dir, { ...request.options, ...(fs === undefined ? {} : { fs }) })
  say('open')
  subscribe(GC_CHANNEL, (event) => {
    if ((event as GcEvent).type === 'readdress') say('readdress')
  })
  // Pointers are rewritten where more is collected than the worst file.
  const collect = (ratio: number): Promise<unknown> =>
    (request.options.mostRuns === undefined ? db.runValueLogGC(ratio) : db.gc({ maxSpaceAmp: 1 + ratio })).catch((err: unknown) => {
      if (!(err instanceof WkError && (err.code === 'WK_NO_REWRITE' || err.code === 'WK_GC_RUNNING'))) throw err
    })
  const maintenance: [string, () => Promise<unknown>][] = [['flush', () => db.flush()], ['compact', () => db.compact()], ['gc', () => collect(0.2)], ['gc', () => collect(0.05)]]
  // What is written next goes into the gaps that a compaction opens, until they are collected.
  const fills = request.options.leastGap !== undefined
  if (fills) maintenance.splice(2, 1)
  let inFlight: Promise<unknown>[] = []
  let background: Promise<unknown> = Promise.resolve()
  let filled = 0
  for (let step = first; step < first + steps; step++) {
    const changes = endlessStep(seed, step)
    note('c', step)
    const call = writeStep(db, changes, { sync: step % syncEvery === syncEvery - 1 })
    inFlight.push(call.then(() => note('a', step)))
    if (step % 10 === 9 && db.stats().gcBytesFilled > filled) {
      filled = db.stats().gcBytesFilled
      say('filled')
    }
    if (step % 70 === 69) {
      const [name, work] = maintenance[Math.floor(step / 70) % maintenance.length] ?? ['', () => Promise.resolve()]
      background = background.then(() => {
        say(name)
        return work()
      })
      if (fills && name === 'compact') await background
    }
    if (inFlight.length >= 1 + (step % 24)) {
      await Promise.all(inFlight)
      inFlight = []
    }
    if (step % 300 === 299 || deadly !== undefined) {
      await background
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  await Promise.all([...inFlight, background])
  await db.close()
  say(`calls ${deadly?.count ?? 0}`)
}

await main(JSON.parse(process.argv[2] ?? '') as KillRequest)
