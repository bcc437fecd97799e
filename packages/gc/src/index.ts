/**
 * `@wk/gc`: garbage collection for a value log, under any index.
 *
 * @packageDocumentation
 */
export { GarbageCollector } from './collector.js'
export type { GarbageCollectorOptions, GcRunOptions, GcWorkOptions, RecountOptions } from './collector.js'
export { WriteFence } from './pointer-index.js'
export type { PointerIndex, PointerMove } from './pointer-index.js'
export { measureGarbage, pickVictims } from './picker.js'
export type { Candidate, LiveBytes, PickOptions } from './picker.js'
export { readCurrent } from './read-current.js'
export { relocate } from './relocate-job.js'
export type { LiveRange, RecordRanges, RelocateOptions, RelocateResult, RelocationLog, RelocationTarget } from './relocate-job.js'
export { spaceAmplification } from './report.js'
export type { GcProgress, GcReport } from './report.js'
export { Throttle } from './throttle.js'
export type { GcAppend, GcFileInfo, GcRecord, GcValueLog } from './value-log.js'
export { WkError } from '@wk/codec'
export type { ValuePointer } from '@wk/codec'
