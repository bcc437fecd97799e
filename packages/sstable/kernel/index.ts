/**
 * The kernel of tables: what is done once for each of their entries, compiled to WebAssembly (ADR 0034). One instance does one thing at a time:
 * a merge, a filter, or a reference block, and takes all memory back when the next one begins.
 */
export { begin, beginTable, boundFor, controlAt, cut, end, open, placeFor, run, setBase, unbound } from './merge'
export { addToFilter, beginFilter, hashesFor } from './filter'
export { beginReferences, encodeReferences, groupCount, groupsAt, sortReferences, encodedLength } from './references'
