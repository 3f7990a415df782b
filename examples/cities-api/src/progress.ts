/** Shows how far something has come: on one line that changes in a terminal, as a few lines in a file. */
export function createProgress(what: string, stream: NodeJS.WriteStream): (done: number, total: number) => void {
  let shown = -1
  return (done, total) => {
    const percent = Math.floor((100 * done) / total)
    const text = `${what}: ${percent} % of ${total.toLocaleString('en')}`
    if (stream.isTTY) {
      stream.write(`\r${text}${done === total ? '\n' : ''}`)
    } else if (Math.floor(percent / 25) > shown) {
      shown = Math.floor(percent / 25)
      stream.write(`${text}\n`)
    }
  }
}
