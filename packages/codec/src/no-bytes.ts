/**
 * No bytes: one empty array for everybody who has none to show, or none yet.
 */

/** An empty array. It may be kept and handed on, as there is nothing in it to change; its buffer must not be transferred to another thread. */
export const NO_BYTES: Uint8Array<ArrayBuffer> = new Uint8Array(0)
