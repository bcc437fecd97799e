/**
 * Progress on standard error: a bar on a terminal, otherwise a plain line for each finished phase and, in long ones, every few
 * seconds.
 */
import { SingleBar } from 'cli-progress'

const PLAIN_INTERVAL = 5000

/** Where the lines go. */
export interface ProgressStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean
}

/** One line that says where the run is. */
export class ProgressLine {
  private readonly stream: ProgressStream
  private bar: SingleBar | undefined
  private title = ''
  private told = performance.now()

  constructor(stream: ProgressStream) {
    this.stream = stream
  }

  /** `done` of `total` of what `title` names. */
  update(title: string, done: number, total: number): void {
    if (this.stream.isTTY === true) {
      if (title !== this.title) this.startBar(title, total)
      this.bar?.update(done)
      return
    }
    const now = performance.now()
    if (title !== this.title) {
      this.title = title
      this.told = now
    } else if (now - this.told >= PLAIN_INTERVAL && done < total) {
      this.told = now
      this.stream.write(`${title}: ${done} of ${total}\n`)
    }
  }

  /** What `title` names is done; `summary` goes behind it. */
  finish(title: string, summary: string): void {
    this.clear()
    this.stream.write(`${title}: ${summary}\n`)
  }

  /** Takes the bar off the screen. */
  clear(): void {
    this.bar?.stop()
    this.bar = undefined
    this.title = ''
  }

  private startBar(title: string, total: number): void {
    this.clear()
    this.title = title
    this.bar = new SingleBar({
      format: `${title} [{bar}] {percentage}% | {value}/{total}`,
      stream: this.stream,
      clearOnComplete: true,
      hideCursor: true,
      fps: 10,
      barsize: 30,
    })
    this.bar.start(total, 0)
  }
}
