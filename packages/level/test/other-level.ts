/**
 * Another kind of abstract-level database: it has nothing but snapshots.
 */
import { AbstractLevel, AbstractSnapshot } from 'abstract-level'

const Base = AbstractSnapshot as unknown as new (options: object) => AbstractSnapshot

export class OtherLevel extends AbstractLevel<string> {
  constructor() {
    super({ encodings: { utf8: true }, explicitSnapshots: true })
  }

  _snapshot(options: object): AbstractSnapshot {
    return new Base(options)
  }
}
