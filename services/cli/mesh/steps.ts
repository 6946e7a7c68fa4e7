/** Progress for people: on a terminal one line a step with the time it takes, elsewhere plain lines. */
import { paint } from '../output/colour.ts';
import { FRAME_MS, FRAMES } from '../output/progress.ts';

export interface Steps {
  /** Runs a step and shows it; what `work` resolves with, if it is text, is shown beside it. */
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** A line of its own. */
  note(text: string): void;
}

export function createSteps(out: NodeJS.WriteStream = process.stdout): Steps {
  const live = out.isTTY === true && process.env.TERM !== 'dumb';
  let current: { name: string; since: number } | undefined;
  const clear = (): void => {
    if (live) out.write('\r\x1b[K');
  };
  const draw = (): void => {
    if (!live || current === undefined) return;
    const elapsed = performance.now() - current.since;
    const frame = paint('cyan', FRAMES[Math.floor(elapsed / FRAME_MS) % FRAMES.length] as string, out);
    out.write(`\r\x1b[K${frame} ${current.name} ${(elapsed / 1000).toFixed(1)} s`);
  };
  const ended = (good: boolean, name: string, since: number, more = ''): void => {
    clear();
    const mark = good ? paint('green', live ? '✓' : 'ok', out) : paint('red', live ? '✗' : 'failed', out);
    out.write(`${mark} ${name.padEnd(16)} ${((performance.now() - since) / 1000).toFixed(1).padStart(5)} s${more}\n`);
  };
  return {
    async run(name, work) {
      const since = performance.now();
      current = { name, since };
      const timer = live ? setInterval(draw, FRAME_MS) : undefined;
      draw();
      try {
        const result = await work();
        ended(true, name, since, typeof result === 'string' ? `  ${result}` : '');
        return result;
      } catch (error) {
        ended(false, name, since);
        throw error;
      } finally {
        clearInterval(timer);
        current = undefined;
      }
    },
    note(text) {
      clear();
      out.write(`${text}\n`);
      draw();
    },
  };
}
