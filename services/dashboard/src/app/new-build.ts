const KEY = 'stockmesh.reloaded-at';
const AT_MOST_EVERY_MS = 60_000;

/** The gateway has a newer build, so a part of this one is not there any more: load the page anew, and not for ever. */
export function reloadOnce(event: Event): void {
  const last = Number(sessionStorage.getItem(KEY) ?? 0);
  if (Date.now() - last < AT_MOST_EVERY_MS) return;
  event.preventDefault();
  sessionStorage.setItem(KEY, String(Date.now()));
  location.reload();
}
