/** Figures of a database that is opened and closed many times: added up as it is closed. */

/** `database`, which calls `count` once, when it is closed for the first time. */
export function countAtClose<D extends { close(): Promise<void> }>(database: D, count: () => void): D {
  const close = database.close.bind(database)
  let isOpen = true
  database.close = () => {
    if (isOpen) count()
    isOpen = false
    return close()
  }
  return database
}
