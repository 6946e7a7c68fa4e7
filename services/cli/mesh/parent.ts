/** npm and npx run a command in a shell. They send their SIGTERM to that shell, which ends without handing it on. */

/** Milliseconds between two looks at the parent. */
const LOOK_MS = 250;

/** Sends this process SIGTERM when the shell in which npm or npx started it is gone. Does nothing for a process that they did not start. */
export function stopWithParent(env: Readonly<Record<string, string | undefined>> = process.env): void {
  if (env.npm_command === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    process.kill(process.pid, 'SIGTERM');
  }, LOOK_MS);
  timer.unref();
}
