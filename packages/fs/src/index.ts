/**
 * `@wk/fs`: what touches the disk, and what stands in for it.
 *
 * @packageDocumentation
 */
export type { File, FileSystem, Lock, LockOptions, OpenMode } from './file-system.js'
export { errnoError, ioError, ioErrorOf, isNotFound } from './errno.js'
export { NodeFileSystem } from './node.js'
export type { NodeFileSystemOptions } from './node.js'
export type { LockVariant } from './lock-holder.js'
export { MemoryFileSystem } from './memory.js'
export type { MemoryFileSystemOptions } from './memory.js'
export type { MutatingOperation, MutationHook } from './memory-journal.js'
export { CRASH_POLICIES, SECTOR } from './crash-policy.js'
export type { CrashPolicy } from './crash-policy.js'
export { InterceptedFileSystem } from './intercept.js'
export type { Operation, OperationKind } from './intercept.js'
export { FaultFileSystem } from './fault.js'
export type { FaultRule, InjectedFault } from './fault.js'
export { TraceFileSystem } from './trace.js'
export type { TraceEntry, TraceOptions } from './trace.js'
export { ScheduledFileSystem } from './scheduled.js'
export { readFully, readFullySync, writeFully, writeFullySync } from './full-io.js'
export { HandleCache } from './handle-cache.js'
export { defaultRuntime, TimeSlice } from './runtime.js'
export type { Runtime } from './runtime.js'
export { ManualRuntime } from './manual-runtime.js'
export type { ManualRuntimeOptions } from './manual-runtime.js'
