/** Text and bytes, and values whose size and content follow from a seed. */

const encoder = new TextEncoder()
const decoder = new TextDecoder()

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text)
}

export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

/** Between 100 and 900 characters that no other key or version has. */
export function valueOf(key: string, version: number): string {
  return `${key}#${version}.`.padEnd(100 + ((version * 7919 + key.length * 104729) % 800), 'abcdefghijklmnop')
}

/** Less than 64 characters, likewise. */
export function shortValueOf(key: string, version: number): string {
  return `${key}#${version}.`
}
