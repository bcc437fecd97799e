/**
 * What callers pass in as bytes, told by what it is and not by its class: an array of another realm (a `vm` context, a test runner's
 * environment) is none of ours by `instanceof`, and a `Proxy`, or an object with the prototype, is one by `instanceof` and has no bytes. Of a class of the
 * caller only the bytes are taken: its `subarray` would call its constructor in the middle of our work.
 */
import { InvalidArgumentError } from './errors.js'

const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype) as object
/** The getters of the language itself: of every realm's arrays, whatever their prototype has become, and of nothing else. */
const kindOf = getterOf(Symbol.toStringTag)
const bufferOf = getterOf('buffer') as (this: unknown) => ArrayBufferLike
const startOf = getterOf('byteOffset') as (this: unknown) => number
const lengthOf = getterOf('byteLength') as (this: unknown) => number

/**
 * A `Uint8Array` as one of ours, over the same memory: itself, unless it is one of another realm, or of a class other than Node's `Buffer`. `undefined` for anything else.
 * @throws InvalidArgumentError if its memory was transferred or cut off: it would pass for no bytes at all
 */
export function bytesFrom(value: unknown): Uint8Array | undefined {
  return ArrayBuffer.isView(value) && isPlain(value) && value.length > 0 ? value : bytesFromOther(value)
}

/** By what its methods would make other arrays with. */
function isPlain(view: ArrayBufferView): view is Uint8Array {
  const { constructor } = view
  return constructor === Uint8Array || constructor === Buffer
}

/** Whether another thread may change the bytes while they are looked at. Memory of another realm counts as such: nobody asks whose it is. */
export function isShared(bytes: Uint8Array): boolean {
  return !(bytes.buffer instanceof ArrayBuffer)
}

function bytesFromOther(value: unknown): Uint8Array | undefined {
  if (!ArrayBuffer.isView(value) || kindOf.call(value) !== 'Uint8Array') return undefined
  const length = lengthOf.call(value)
  if (length === 0 && isLost(value)) throw new InvalidArgumentError('the memory of the bytes was transferred or cut off')
  return isPlain(value) ? value : new Uint8Array(bufferOf.call(value), startOf.call(value), length)
}

/** Whether the memory behind it is gone. Only methods of the language tell that from an array without bytes, in every version that we run on. */
function isLost(bytes: unknown): boolean {
  try {
    Uint8Array.prototype.at.call(bytes, 0)
    return false
  } catch {
    return true
  }
}

function getterOf(name: PropertyKey): (this: unknown) => unknown {
  return Object.getOwnPropertyDescriptor(typedArray, name)?.get as (this: unknown) => unknown
}
