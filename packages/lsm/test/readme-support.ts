/** Just enough to run a short, simply typed example: imports become look-ups, annotations of parameters go. */
export function stripTypeScriptTypes(code: string): string {
  return code
    .replace(/import \{([^}]*)\} from '([^']*)'/g, "const {$1} = modules['$2']")
    .replace(/\((\w+): [^)]*\) =>/g, '($1) =>')
}
