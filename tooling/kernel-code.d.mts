/** The file that holds the compiled kernel, relative to the root of the repository. */
export const KERNEL_FILE: string

/** The file that holds it as a script. */
export const SCRIPT_FILE: string

/** Compiles the kernel, or `sources` by their names in its place. Throws if the compiler has anything to say, and if the module imports something. */
export function compileKernel(sources?: Record<string, string>): Promise<Uint8Array>

/** The text of `KERNEL_FILE` for a module. */
export function kernelFile(code: Uint8Array): string

/** The texts of `KERNEL_FILE` and `SCRIPT_FILE` for a module. */
export function kernelFiles(code: Uint8Array): Promise<Record<string, string>>
