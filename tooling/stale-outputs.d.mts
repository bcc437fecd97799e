/** Removes what is in `dist` of packages and apps for sources that are gone. `root`: of the repository. */
export function removeStaleOutputs(root: string): void
