/** Progress for people: on a terminal one line a step with the time it takes, elsewhere plain lines. */
const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

export interface Steps {
  /** Runs a step and shows it; what `work` resolves with, if it is text, is shown beside it. */
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** A line of its own. */
  note(text: string): void;
}

export function createSteps(out: NodeJS.WriteStream = process.stdout): Steps {
  const live = out.isTTY === true;
  let current: { name: string; since: number } | undefined;
  const clear = (): void => {
    if (live) out.write('\r\x1b[K');
  };
  const draw = (): void => {
    if (!live || current === undefined) return;
    const elapsed = performance.now() - current.since;
    out.write(`\r\x1b[K${FRAMES[Math.floor(elapsed / 80) % FRAMES.length]} ${current.name} ${(elapsed / 1000).toFixed(1)} s`);
  };
  return {
    async run(name, work) {
      current = { name, since: performance.now() };
      const timer = live ? setInterval(draw, 80) : undefined;
      draw();
      try {
        const result = await work();
        clear();
        const seconds = ((performance.now() - current.since) / 1000).toFixed(1).padStart(5);
        out.write(`${live ? '\x1b[32m✓\x1b[0m' : 'ok'} ${name.padEnd(16)} ${seconds} s${typeof result === 'string' ? `  ${result}` : ''}\n`);
        return result;
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
