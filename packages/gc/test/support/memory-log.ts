/** A real value log on a crashable file system in memory, under the smallest host. */
import { MemoryFileSystem } from '@wk/fs'
import { ValueLog, type ValueLogOptions } from '@wk/vlog'
import { GarbageCollector } from '../../src/index.js'
import { MapHost, MapIndex, textOf } from './map-index.js'

export interface MemoryLog {
  readonly fs: MemoryFileSystem
  readonly host: MapHost<ValueLog>
  readonly gc: GarbageCollector
}

export async function openMemoryLog(
  options: ValueLogOptions = {},
  fs = new MemoryFileSystem(),
  index = new MapIndex(),
): Promise<MemoryLog> {
  const vlog = await ValueLog.open('/values', { fs, ...options })
  return { fs, host: new MapHost(vlog, index), gc: new GarbageCollector({ vlog, index }) }
}

export async function valueOf({ vlog, index }: MapHost<ValueLog>, key: string): Promise<string | undefined> {
  const pointer = index.map.get(key)
  return pointer === undefined ? undefined : textOf((await vlog.read(pointer)).value)
}

export async function namesOf(fs: MemoryFileSystem): Promise<string[]> {
  return (await fs.list('/values')).filter((name) => name.endsWith('.vlog'))
}

/** Flips one bit of a file behind the log's back. */
export function flipByte(fs: MemoryFileSystem, name: string, offset: number): void {
  const file = fs.openSync(`/values/${name}`, 'update')
  const byte = new Uint8Array(1)
  file.readSync(byte, 0, 1, offset)
  byte[0] = (byte[0] ?? 0) ^ 0x40
  file.writeSync(byte, 0, 1, offset)
  file.syncSync()
  file.closeSync()
}
