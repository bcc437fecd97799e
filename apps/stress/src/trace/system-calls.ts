/**
 * Reads what `strace -f -y -xx` wrote: the calls that change files or make them durable, each with the lines where it began and
 * ended. Calls that failed, and calls on anything that has no path, are left out. What the calls mean for a crash is `TracedDisk`'s
 * business.
 */

/** One call that succeeded. `begun` and `ended` are line numbers: a call between them may or may not have happened. */
export type SystemCall = { readonly begun: number; readonly ended: number } & (
  | { readonly kind: 'create' | 'unlink' | 'mkdir' | 'sync'; readonly path: string }
  | { readonly kind: 'rename' | 'link'; readonly path: string; readonly to: string }
  | { readonly kind: 'truncate'; readonly path: string; readonly length: number }
  /** Without a position: at the end, as to a file opened for appending. */
  | { readonly kind: 'write'; readonly path: string; readonly position: number | undefined; readonly bytes: Uint8Array }
)

/** What strace is to write down. */
export const TRACED = 'openat,write,pwrite64,writev,pwritev,fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat,link,linkat,mkdir,mkdirat,fallocate,copy_file_range,sync_file_range'

/** Reads a trace. Throws on a call that changes files and that it does not know. */
export function readSystemCalls(trace: string): SystemCall[] {
  const calls: SystemCall[] = []
  /** The first half of the call in which each thread is. */
  const open = new Map<string, { text: string; begun: number }>()
  for (const [number, line] of trace.split('\n').entries()) {
    const space = line.indexOf(' ')
    const thread = line.slice(0, space)
    const text = line.slice(space).trimStart()
    if (text.endsWith('<unfinished ...>')) {
      open.set(thread, { text: text.slice(0, -'<unfinished ...>'.length), begun: number })
      continue
    }
    const resumed = /^<\.\.\. \w+ resumed>/.exec(text)
    const first = resumed === null ? undefined : open.get(thread)
    if (resumed !== null && first === undefined) continue
    const whole = resumed === null ? text : `${first?.text ?? ''}${text.slice(resumed[0].length)}`
    const call = readCall(whole, first?.begun ?? number, number)
    if (call !== undefined) calls.push(call)
  }
  return calls.sort((a, b) => a.ended - b.ended)
}

function readCall(text: string, begun: number, ended: number): SystemCall | undefined {
  const [, name, args, result] = /^(\w+)\((.*)\)\s+= (-?\d+)/s.exec(text) ?? []
  if (name === undefined || args === undefined || Number(result) < 0) return undefined
  const when = { begun, ended }
  const [first, second] = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g)].map(([, hex, cut]) => {
    if (cut !== undefined) throw new Error(`strace cut a string of ${name}`)
    return Buffer.from((hex ?? '').replaceAll('\\x', ''), 'hex')
  })
  const path = first?.toString()
  const target = /^\d+<((?:\\x[0-9a-f]{2})+)>/.exec(args)?.[1]
  const file = target === undefined ? undefined : Buffer.from(target.replaceAll('\\x', ''), 'hex').toString()
  switch (name) {
    case 'openat':
      return args.includes('O_CREAT') && path !== undefined ? { kind: 'create', path, ...when } : undefined
    case 'write':
    case 'pwrite64': {
      if (file === undefined || first === undefined || !file.startsWith('/')) return undefined
      const position = name === 'write' ? undefined : Number(/, (\d+)\s*$/.exec(args)?.[1])
      return { kind: 'write', path: file, position, bytes: first.subarray(0, Number(result)), ...when }
    }
    case 'fsync':
    case 'fdatasync':
      return file === undefined ? undefined : { kind: 'sync', path: file, ...when }
    case 'ftruncate':
      return file === undefined ? undefined : { kind: 'truncate', path: file, length: Number(/, (\d+)\s*$/.exec(args)?.[1]), ...when }
    case 'unlink':
    case 'mkdir':
      return path === undefined ? undefined : { kind: name, path, ...when }
    case 'rename':
    case 'link':
      return path === undefined || second === undefined ? undefined : { kind: name, path, to: second.toString(), ...when }
    default:
      // Pipes of the runtime itself.
      if (name === 'writev' && file?.startsWith('/') !== true) return undefined
      throw new Error(`a call that nobody reads: ${text.slice(0, 200)}`)
  }
}
