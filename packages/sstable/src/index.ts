/**
 * `@wk/sstable`: sorted, immutable tables. Knows neither levels nor the WAL, nor what a value means.
 *
 * @packageDocumentation
 */
export { TableWriter } from './table-writer.js'
export type { TableWriterOptions } from './table-writer.js'
export type { TableFrameOptions } from './table-frame.js'
export { TableReader } from './table-reader.js'
export type { TableReaderOptions } from './table-reader.js'
export type { FileHandle } from './block-source.js'
export type { TableCursor } from './table-iterator.js'
export { MERGE, TableMerge, VERDICT } from './table-merge.js'
export type { MergeSource, MergeStep, TableMergeOptions, UnseenEntries } from './table-merge.js'
export type { VerifyProgress } from './table-verifier.js'
export { SalvagedTable } from './table-salvage.js'
export type { TableLoss } from './table-salvage.js'
export { BlockCache } from './block-cache.js'
export type { BlockCacheStats } from './block-cache.js'
export type { TableProperties, TableSummary } from './table-properties.js'
export type { ReferenceList, ReferenceSummary } from './reference-list.js'
export type { Compression } from './compression.js'
export { BLOCK_TRAILER_LENGTH, FOOTER_LENGTH, MAX_TABLE_SIZE, TABLE_MAGIC, TABLE_VERSION } from './format.js'
export { WkError } from '@wk/codec'
export type { WkErrorCode } from '@wk/codec'
