/** Shared by F1 and F2: one mutated file given to the package that reads files of its kind. */
import { parseFileName } from '@wk/codec'
import { LsmTree } from '@wk/lsm'
import { TableReader } from '@wk/sstable'
import { cleanSpecimen, type DiskImage, ImageFileSystem, type Part, partsOf, uncleanSpecimen } from '@wk/testkit'
import { ValueLog } from '@wk/vlog'
import { DIR, gappedSubject, holedSubject, open } from './damage.js'
import { attempt } from './hostile.js'

/** A file to change, beside the files that its parser reads with it. */
export interface Victim {
  readonly name: string
  readonly bytes: Uint8Array
  /** Where its fields are. */
  readonly parts: readonly Part[]
  readonly image: DiskImage
}

/** What the value log is read from. */
const LOGS = /\.(vlog|rlog|runs)$/

/** Files of every kind: WAL, tables, value logs, relocated values, both with holes, or with gaps, and their lists, manifests, CURRENT. */
export async function victims(): Promise<Victim[]> {
  const images = [(await cleanSpecimen(DIR, open)).image, (await uncleanSpecimen(DIR, open)).image]
  for (const { specimen } of [await holedSubject(), await gappedSubject()]) images.push(new Map([...specimen.image].filter(([name]) => LOGS.test(name))))
  return images.flatMap((image) => [...image].filter(([name, bytes]) => bytes.length > 0 && name !== 'LOCK').map(([name, bytes]) => ({ name, bytes, parts: partsOf(name, bytes), image: besides(name, image) })))
}

/** A table is read alone, a value log with the list of what is left in it, and that with the log; a log, a manifest and `CURRENT` lead to the tables. */
function besides(name: string, image: DiskImage): DiskImage {
  if (parseFileName(name)?.kind === 'table') return new Map()
  const number = parseFileName(name)?.number
  return LOGS.test(name) ? new Map([...image].filter(([other]) => LOGS.test(other) && parseFileName(other)?.number === number)) : image
}

/** Has a changed file read by everything that reads files of its kind. @throws what is no typed error */
export async function parse({ name, image }: Victim, bytes: Uint8Array): Promise<void> {
  const parsed = parseFileName(name)
  const fs = new ImageFileSystem(new Map(image).set(name, bytes), DIR)
  if (parsed?.kind === 'table') {
    const file = fs.openSync(`${DIR}/${name}`, 'read')
    const table = await attempt(() => TableReader.openSync(file, parsed.number, bytes.length))
    if (table !== undefined) {
      await attempt(() => {
        for (const _ of table.verify());
      })
      await attempt(() => {
        const cursor = table.cursor()
        for (cursor.first(); cursor.valid; cursor.next());
      })
      await attempt(() => table.references())
    }
    file.closeSync()
  } else if (parsed?.kind === 'vlog' || parsed?.kind === 'relocated' || parsed?.kind === 'runs') {
    const log = await attempt(() => ValueLog.open(DIR, { fs, readOnly: true, lock: false, durable: null }))
    if (log !== undefined) {
      await attempt(() => log.verify())
      await log.close()
    }
  } else {
    const recovery = await attempt(() => LsmTree.recover(DIR, { fs, readOnly: true }))
    const tree = recovery === undefined ? undefined : await attempt(() => recovery.finish())
    await tree?.close({ clean: false })
  }
}

