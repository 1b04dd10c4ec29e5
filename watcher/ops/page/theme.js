// Runs before anything is painted, so that no page flashes in the colours that were not wanted.
try {
  const theme = localStorage.getItem('watcher.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be forbidden: then it is as the system has it.
}
