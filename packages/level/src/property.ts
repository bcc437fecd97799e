/**
 * `getProperty`: what classic-level tells under the names of LevelDB, told of this engine.
 */
import type { DB, TableInfo } from '@wk/db'

const PREFIX = 'leveldb.'
const FILES_AT_LEVEL = /^num-files-at-level([0-9]{1,2})$/
const MIB = 1024 * 1024
const PRINTABLE = /[ -~]/

/** The value of a property; the empty string for one that there is not, as classic-level has it. */
export function propertyOf(db: DB, property: string): string {
  if (!property.startsWith(PREFIX)) return ''
  const name = property.slice(PREFIX.length)
  if (name === 'stats') return statsText(db)
  if (name === 'sstables') return tablesText(db.tables())
  if (name === 'approximate-memory-usage') {
    const { memtableBytes, blockCacheBytes } = db.stats()
    return String(memtableBytes + blockCacheBytes)
  }
  const level = FILES_AT_LEVEL.exec(name)?.[1]
  return level === undefined ? '' : String(db.tables().filter((table) => table.level === Number(level)).length)
}

/** Sizes in MiB, as LevelDB prints them. Where LevelDB has seconds for each level, this has the value logs below the levels. */
function statsText(db: DB): string {
  const { compactionBytesRead, compactionBytesWritten, flushes, compactions, valueLogFiles, valueLogBytes, valueLogLiveBytes } = db.stats()
  const lines = ['       Tables', 'Level  Files Size(MB)', '---------------------']
  const tables = db.tables()
  for (let level = 0; level <= Math.max(0, ...tables.map((table) => table.level)); level++) {
    const own = tables.filter((table) => table.level === level)
    if (own.length > 0) lines.push(`${String(level).padStart(3)} ${String(own.length).padStart(8)} ${mib(own.reduce((sum, { size }) => sum + size, 0)).padStart(8)}`)
  }
  lines.push(`Compactions: ${flushes} flushes, ${compactions} compactions, ${mib(compactionBytesRead)} MB read, ${mib(compactionBytesWritten)} MB written`)
  lines.push(`Value logs: ${valueLogFiles} files, ${mib(valueLogBytes)} MB, ${mib(valueLogLiveBytes)} MB live`)
  return `${lines.join('\n')}\n`
}

/** As LevelDB: ` number:size['smallest' @ version .. 'largest' @ version]` below a line for each level. */
function tablesText(tables: readonly TableInfo[]): string {
  const lines: string[] = []
  let last = -1
  for (const { level, number, size, smallestKey, largestKey, smallestVersion, largestVersion } of tables) {
    if (level !== last) lines.push(`--- level ${level} ---`)
    last = level
    lines.push(` ${number}:${size}['${escaped(smallestKey)}' .. '${escaped(largestKey)}' @ ${smallestVersion} .. ${largestVersion}]`)
  }
  return lines.map((line) => `${line}\n`).join('')
}

/** Printable ASCII as it is, other bytes as `\xNN`. */
function escaped(key: Uint8Array): string {
  let text = ''
  for (const byte of key) {
    const letter = String.fromCharCode(byte)
    text += PRINTABLE.test(letter) && letter !== "'" && letter !== '\\' ? letter : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return text
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}
