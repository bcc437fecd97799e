/**
 * Long computations in steps: generators that yield every millisecond or two, so that who shares its thread may pause.
 */

/** Numbers between two steps: a power of two. */
const STEP = 1 << 14

/** Sorts numbers in steps: pieces natively, then merges of two. Returns the numbers in their own array or another one. */
export function* sortSteps(numbers: Float64Array): Generator<undefined, Float64Array, void> {
  const { length } = numbers
  for (let start = 0; start < length; start += STEP) {
    numbers.subarray(start, start + STEP).sort()
    yield
  }
  let from = numbers
  let to = length > STEP ? new Float64Array(length) : numbers
  for (let width = STEP; width < length; width *= 2) {
    for (let start = 0; start < length; start += 2 * width) {
      const middle = Math.min(start + width, length)
      const end = Math.min(start + 2 * width, length)
      let left = start
      let right = middle
      for (let at = start; at < end; at++) {
        if ((at & (STEP - 1)) === 0) yield
        if (left < middle && (right >= end || from[left]! <= from[right]!)) to[at] = from[left++]!
        else to[at] = from[right++]!
      }
    }
    ;[from, to] = [to, from]
  }
  return from
}

/** Runs a computation in steps to its end. */
export function runSteps<T>(steps: Generator<undefined, T, void>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}
