/** Acts once the process that started this one is gone, however it went: a killed process can tell nobody. */
export function onParentGone(act: () => void): void {
  // It may have gone while this one was loading.
  if (process.connected) process.once('disconnect', act)
  else act()
}
