/** The suite that hosts outside run, on the host of these tests, over the real value log. */
import { MemoryFileSystem, defaultRuntime } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { WriteFence } from '../src/index.js'
import { ConformanceError, testPointerHost, type PointerHost, type PointerHostStore } from '../src/testing.js'
import { DurableHost } from './support/durable-host.js'

const runs = Math.max(1, Math.round(15 * Number(process.env['WK_RUNS'] ?? 1)))
const seed = Number(process.env['WK_SEED'] ?? 1)

class MemoryStore implements PointerHostStore {
  #fs = new MemoryFileSystem()
  #crashes = 0

  open(): Promise<PointerHost> {
    return DurableHost.open({ fs: this.#fs, dir: '/store' })
  }

  async crash(): Promise<void> {
    this.#fs = this.#fs.crashClone(this.#crashes % 2 === 0 ? 'P0' : 'P3', ++this.#crashes)
  }
}

testPointerHost({ describe, it }, 'journalled map', async () => new MemoryStore(), { runs, seed })

/** The suite must turn red for hosts that break a rule: a suite that accepts everything proves nothing. */
describe('planted faults', () => {
  const plant = async (breakHost: (host: DurableHost) => void): Promise<string[]> => {
    const failures: string[] = []
    const tests: [string, () => Promise<void>][] = []
    class FaultyStore extends MemoryStore {
      override async open(): Promise<PointerHost> {
        const host = (await super.open()) as DurableHost
        breakHost(host)
        return host
      }
    }
    const collect = (name: string, body: () => Promise<void>): unknown => tests.push([name, body])
    testPointerHost({ describe: (_, body) => body(), it: collect }, 'faulty', async () => new FaultyStore(), { runs: 6 })
    for (const [name, body] of tests) {
      await body().catch((error: unknown) => {
        failures.push(`${name}: ${error instanceof ConformanceError ? 'found' : String(error)}`)
      })
    }
    return failures
  }

  it('no fault, no failure', async () => {
    expect(await plant(() => undefined)).toEqual([])
  })

  it('swaps without comparing', async () => {
    const failures = await plant((host) => {
      const swap = host.compareAndSwap.bind(host)
      host.compareAndSwap = (moves) => {
        const current = host.lookup(moves.map(({ key }) => key))
        return swap(moves.map((move, at) => ({ ...move, from: current[at] ?? move.from })))
      }
    })
    expect(failures.join('\n')).toMatch(/compares all three fields: found/)
    expect(failures.join('\n')).toMatch(/loses to an overwrite.*found/)
    expect(failures.join('\n')).toMatch(/random history.*found/)
  })

  it('swaps are not durable when they resolve', async () => {
    const failures = await plant((host) => {
      const flush = host.flush.bind(host)
      const swap = host.compareAndSwap.bind(host)
      host.compareAndSwap = async (moves) => {
        host.flush = () => Promise.resolve()
        const won = await swap(moves)
        host.flush = flush
        return won
      }
    })
    expect(failures.join('\n')).toMatch(/are there after a crash: /)
  })

  const laterIndexed = (host: DurableHost, fence: WriteFence): void => {
    host.put = (key, value) =>
      fence.run(async () => {
        const [pointer] = await host.vlog.append([{ key, value }])
        for (let turn = 0; turn < 3; turn++) await defaultRuntime.yield()
        host.setPointer(key, pointer)
      })
  }

  it('the index learns of a record later than append, and nobody waits', async () => {
    const failures = await plant((host) => laterIndexed(host, new WriteFence()))
    expect(failures.join('\n')).toMatch(/under way when a pass begins/)
  })

  it('the same with a fence is no fault', async () => {
    const failures = await plant((host) => {
      const fence = new WriteFence()
      laterIndexed(host, fence)
      Object.assign(host, { settle: () => fence.settle() })
    })
    expect(failures).toEqual([])
  })
})
