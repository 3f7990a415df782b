// The test holds the other end of stdin: a test that was killed takes the program with it. What the program itself has
// started must notice on its own.
if (!process.channel) {
  process.stdin.on('close', () => process.exit(1)).resume()
  process.stdin.unref?.()
}
