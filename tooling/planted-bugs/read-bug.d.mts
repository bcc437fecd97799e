/** A check that must turn red: a package, a test file of it, and perhaps the name of a test. */
export interface PlantedCheck {
  dir: string
  file: string
  pattern: string | undefined
}

/** Reads the head of a patch. */
export function readBug(text: string): { bug: string; breaks: string; checks: PlantedCheck[] }
