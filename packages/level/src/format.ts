/**
 * Between the two formats that `abstract-level` is told we take, text and bytes, and the bytes of the engine.
 *
 * Text is native, not transcoded by `abstract-level`: its decoder drops a leading byte order mark, and would change
 * what was stored.
 */

/** A key or value as `abstract-level` hands it over: its encodings are `utf8` and `view`. */
export type Stored = string | Uint8Array

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** What the engine takes. Other views, and arrays of another realm, are seen as the bytes they cover. */
export function toEngine(data: Stored): Stored {
  if (typeof data === 'string' || data instanceof Uint8Array) return data
  const view = data as ArrayBufferView
  return ArrayBuffer.isView(view) ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength) : data
}

/** What the caller's encoding expects. */
export function fromEngine(bytes: Uint8Array, format: string | undefined): Stored {
  return format === 'utf8' ? decoder.decode(bytes) : bytes
}

/** {@link toEngine}, of which the caller may change nothing any more. */
export function ownCopy(data: Stored): Stored {
  const given = toEngine(data)
  return typeof given === 'string' ? given : new Uint8Array(given)
}
