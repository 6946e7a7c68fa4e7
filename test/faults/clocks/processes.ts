/** Programs whose wall clock is wrong: the environment that shifts it (`shifted-clock.ts`), also for the processes that they start. */
import { fileURLToPath, pathToFileURL } from 'node:url';

const SHIFTED_CLOCK = pathToFileURL(fileURLToPath(new URL('./shifted-clock.ts', import.meta.url))).href;

/** How a program's wall clock differs from the true one, in seconds: from its start on, and by a step at SIGUSR2. */
export interface WrongClock {
  shift?: number;
  step?: number;
}

export function wrongClock({ shift = 0, step = 0 }: WrongClock): Record<string, string> {
  const options = [process.env.NODE_OPTIONS, `--import=${SHIFTED_CLOCK}`].filter(Boolean).join(' ');
  return { NODE_OPTIONS: options, CLOCK_SHIFT_MS: String(shift * 1000), CLOCK_STEP_MS: String(step * 1000) };
}
