/**
 * What may be found after a crash. The oracle is told of every write before it is called (a *step*: one put, one
 * deletion, one whole batch, one deletion of a clear), of every acknowledgement and of everything that makes earlier
 * steps durable. From that it knows, for any moment, how many first steps must have survived and how many may have.
 *
 * After a crash the visible map must equal the map after exactly the first n steps, for some n between those two
 * bounds: nothing acknowledged lost, nothing resurrected, no partial batch, and unacknowledged writes only as an
 * ordered prefix. Seen key by key that is a third state beside absent and present: *maybe*.
 */
import { Model, type Change, type KeyText } from './model.js'

/** One atomic step of the write history. */
export interface Step {
  readonly changes: readonly Change[]
}

/** How many first steps must survive (`must`) and how many may (`may`). */
export interface Bounds {
  readonly must: number
  readonly may: number
}

/** What is known of one key: certainly absent, certainly one value, or one of several. */
export type KeyState =
  | { readonly state: 'absent' }
  | { readonly state: 'present'; readonly value: Uint8Array }
  | { readonly state: 'maybe'; readonly values: readonly (Uint8Array | undefined)[] }

/** The answer of a check: the number of steps that survived, or what is wrong and which law it breaks. */
export type Verdict = { readonly ok: true; readonly steps: number } | { readonly ok: false; readonly law: 1 | 2 | 4; readonly message: string }

/** True if both hold the same bytes, or both are undefined. */
export function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.length === b.length && Buffer.compare(a, b) === 0
}

/** Records a write history and judges what is left of it after a crash. */
export class CrashOracle {
  readonly #steps: Step[] = []
  #acknowledged = 0
  #durable = 0

  /** Steps called so far. */
  get called(): number {
    return this.#steps.length
  }

  /** Records a step that is about to be called and returns its number, counted from 1. */
  record(changes: readonly Change[]): number {
    this.#steps.push({ changes })
    return this.#steps.length
  }

  /** The step was acknowledged. `durable`: with `sync`. Order makes this a promise for every earlier step too. */
  acknowledge(step: number, durable: boolean): void {
    this.#acknowledged = Math.max(this.#acknowledged, step)
    if (durable) this.durable(step)
  }

  /** Every step up to this one is on the device (`sync()`, `flush()`, `close()` resolved). */
  durable(step: number): void {
    this.#durable = Math.max(this.#durable, step)
    this.#acknowledged = Math.max(this.#acknowledged, step)
  }

  /**
   * Bounds for a crash at this very moment.
   * @param keepsEverything the process died but the operating system lives: what was acknowledged is there.
   */
  bounds(keepsEverything: boolean): Bounds {
    return { must: keepsEverything ? this.#acknowledged : this.#durable, may: this.#steps.length }
  }

  /** Every key that any step touched. */
  keys(): Set<KeyText> {
    return new Set(this.#steps.flatMap((step) => step.changes.map((change) => change.key)))
  }

  /** The map after the first `steps` steps. */
  modelAfter(steps: number): Model {
    const model = new Model()
    for (const step of this.#steps.slice(0, steps)) for (const change of step.changes) model.apply(change)
    return model
  }

  /** What is known of one key under the bounds. */
  keyState(key: KeyText, bounds: Bounds): KeyState {
    let current: Uint8Array | undefined
    const values: (Uint8Array | undefined)[] = []
    for (let n = 0; n <= bounds.may; n++) {
      if (n > 0) for (const change of this.#steps[n - 1]?.changes ?? []) if (change.key === key) current = change.value
      if (n >= bounds.must && !values.some((value) => sameBytes(value, current))) values.push(current)
    }
    if (values.length !== 1) return { state: 'maybe', values }
    return values[0] === undefined ? { state: 'absent' } : { state: 'present', value: values[0] }
  }

  /** Judges the whole visible map against the bounds. */
  check(visible: ReadonlyMap<KeyText, Uint8Array>, bounds: Bounds): Verdict {
    const model = this.modelAfter(bounds.must)
    const wrong = new Set<KeyText>()
    const judge = (key: KeyText): void => {
      if (sameBytes(model.get(key), visible.get(key))) wrong.delete(key)
      else wrong.add(key)
    }
    for (const [key] of model.entries()) judge(key)
    for (const key of visible.keys()) judge(key)
    let best = { steps: bounds.must, wrong: [...wrong] }
    let closest: number | undefined
    for (let n = bounds.must; ; n++) {
      if (wrong.size === 0) closest = n
      else if (wrong.size < best.wrong.length) best = { steps: n, wrong: [...wrong] }
      if (n >= bounds.may) break
      for (const change of this.#steps[n]?.changes ?? []) {
        model.apply(change)
        judge(change.key)
      }
    }
    return closest === undefined ? this.#explain(visible, bounds, best) : { ok: true, steps: closest }
  }

  #explain(visible: ReadonlyMap<KeyText, Uint8Array>, bounds: Bounds, best: { steps: number; wrong: KeyText[] }): Verdict {
    const bound = `steps acknowledged: ${bounds.must}, called: ${bounds.may}`
    for (const key of new Set([...visible.keys(), ...best.wrong])) {
      const known = this.keyState(key, bounds)
      const found = visible.get(key)
      const name = JSON.stringify(key.length > 40 ? `${key.slice(0, 40)}…` : key)
      if (known.state === 'absent' && found !== undefined) {
        return { ok: false, law: 4, message: `key ${name} must be absent, found ${this.#whence(key, found)} (${bound})` }
      }
      if (known.state === 'present' && !sameBytes(found, known.value)) {
        return { ok: false, law: 1, message: `key ${name} must have ${known.value.length} bytes, found ${this.#whence(key, found)} (${bound})` }
      }
      if (known.state === 'maybe' && !known.values.some((value) => sameBytes(value, found))) {
        return { ok: false, law: 1, message: `key ${name} may have ${known.values.length} values, found another: ${this.#whence(key, found)} (${bound})` }
      }
    }
    const partial = this.#partialBatch(visible, best.steps, bounds)
    const detail = best.wrong.slice(0, 3).map((key) => `${JSON.stringify(key.slice(0, 40))}: ${this.#whence(key, visible.get(key))}`)
    if (partial !== undefined) return { ok: false, law: 2, message: `step ${partial} is there in part only (${bound}): ${detail.join('; ')}` }
    return { ok: false, law: 1, message: `no prefix of the steps gives this map; nearest is ${best.steps}, where ${best.wrong.length} keys differ (${bound}): ${detail.join('; ')}` }
  }

  /** The step next to the nearest prefix that is a batch of which some changes are visible and some are not. */
  #partialBatch(visible: ReadonlyMap<KeyText, Uint8Array>, nearest: number, bounds: Bounds): number | undefined {
    for (const number of [nearest, nearest + 1]) {
      const changes = number <= bounds.may ? this.#steps[number - 1]?.changes : undefined
      if (changes === undefined || changes.length < 2) continue
      const there = changes.filter((change) => sameBytes(visible.get(change.key), change.value)).length
      if (there > 0 && there < changes.length) return number
    }
    return undefined
  }

  /** Says which step a found value came from. */
  #whence(key: KeyText, found: Uint8Array | undefined): string {
    if (found === undefined) return 'nothing'
    for (let n = this.#steps.length; n > 0; n--) {
      const change = this.#steps[n - 1]?.changes.findLast((one) => one.key === key)
      if (change?.value !== undefined && sameBytes(change.value, found)) return `${found.length} bytes of step ${n}`
    }
    return `${found.length} bytes that no step wrote to it`
  }
}
