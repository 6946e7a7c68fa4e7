/** Processor time of a process and everything that it has started. On a machine with neighbours it says more than the clock. Linux only: elsewhere 0. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Milliseconds so far; those of threads that have ended do not count. */
export function processorMs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return 0;
  return readdirSync(tasks).reduce((sum, task) => sum + taskMs(`${tasks}/${task}`), endedChildrenMs(pid));
}

/** Milliseconds for which a process and what it has started were ready to run and waited for a processor: how busy others keep the machine. Linux only: elsewhere 0. */
export function waitedMs(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return 0;
  return readdirSync(tasks).reduce((sum, task) => {
    const own = Number(read(`${tasks}/${task}/schedstat`).split(' ')[1] ?? 0) / 1e6;
    const children = read(`${tasks}/${task}/children`).split(' ').filter(Boolean);
    return children.reduce((all, child) => all + waitedMs(Number(child)), sum + own);
  }, 0);
}

/** proc(5): cutime and cstime are fields 16 and 17, in hundredths of a second; the name in field 2 may hold blanks. */
function endedChildrenMs(pid: number): number {
  const fields = read(`/proc/${pid}/stat`).split(') ').at(-1)?.split(' ') ?? [];
  return (Number(fields[13] ?? 0) + Number(fields[14] ?? 0)) * 10;
}

function taskMs(task: string): number {
  // Nanoseconds on a processor, nanoseconds waiting for one, turns.
  const own = Number(read(`${task}/schedstat`).split(' ')[0] ?? 0) / 1e6;
  const children = read(`${task}/children`).split(' ').filter(Boolean);
  return children.reduce((sum, child) => sum + processorMs(Number(child)), own);
}

/** Process ids of what a process has started itself. */
export function childrenOf(pid: number): number[] {
  return read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean).map(Number);
}

export function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It has ended meanwhile.
    return '';
  }
}
