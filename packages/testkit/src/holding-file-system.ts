/**
 * Keeps asynchronous operations from being done until they are released, so that a test can look at, or do, something else meanwhile.
 * Synchronous operations go through.
 */
import { InterceptedFileSystem, type FileSystem, type Operation } from '@wk/fs'

export class HoldingFileSystem extends InterceptedFileSystem {
  /** Which operations are kept from now on. Default: none. */
  hold: (operation: Operation) => boolean = none
  /** Those that are kept, oldest first: calling one has its operation done. */
  readonly held: (() => void)[] = []

  constructor(inner: FileSystem) {
    super(inner, 'holding')
  }

  async around<T>(operation: Operation, run: () => Promise<T>): Promise<T> {
    if (this.hold(operation)) await new Promise<void>((resolve) => this.held.push(resolve))
    return run()
  }

  aroundSync<T>(_operation: Operation, run: () => T): T {
    return run()
  }

  /** Has everything done, and keeps nothing any more. */
  release(): void {
    this.hold = none
    for (const resolve of this.held.splice(0)) resolve()
  }
}

function none(): boolean {
  return false
}

/** Whether an operation makes a table. */
export function createsTable({ kind, path }: Operation): boolean {
  return kind === 'create' && path.endsWith('.sst')
}
