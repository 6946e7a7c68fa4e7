/** The processes that the converter and the reader have started. */
import { readdirSync, readFileSync } from 'node:fs';

/** Those that work in a temporary folder. */
export function processesIn(tempFolder: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`"${tempFolder}/`);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** The most memory, in bytes, that a process has had. */
export function peakMemory(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes) * 1024;
}
