/** The progress of a download on standard error: a bar with rate and time left on a terminal, a line at each tenth elsewhere. */
import { paint } from '../output/colour.ts';
import { span } from '../output/numbers.ts';
import { FRAME_MS, FRAMES } from '../output/progress.ts';
import { clip, plain, widthOf } from '../output/table.ts';
import type { Accepted, Status } from './access.ts';

export interface Bar {
  show(status: Status): void;
  /** Removes it from the terminal. */
  end(): void;
}

const WIDTH = 24;
const LINES = 10;
const LONGEST_REASON = 300;

/** `quiet`: on a terminal only. `now`: milliseconds of a clock that never goes back. */
export function showBar(
  job: Pick<Accepted, 'message'>,
  {
    out = process.stderr,
    quiet = false,
    now = () => performance.now(),
  }: { out?: NodeJS.WriteStream; quiet?: boolean; now?: () => number } = {},
): Bar {
  const isLive = out.isTTY === true && process.env.TERM !== 'dumb';
  const pace = paceOf(now);
  if (!isLive) {
    let written = -1;
    let state = '';
    return {
      show(status) {
        const text = pace(status);
        const tenth = Math.floor((status.progress.percentage / 100) * LINES);
        if (quiet || (tenth === written && status.status === state)) return;
        written = tenth;
        state = status.status;
        out.write(`${plain(text)}\n`);
      },
      end: () => {},
    };
  }
  let latest: Status | undefined;
  const draw = (): void => {
    const frame = FRAMES[Math.floor(now() / FRAME_MS) % FRAMES.length] as string;
    const text = latest === undefined ? job.message : `${barText(latest.progress.percentage)} ${pace(latest)}`;
    out.write(`\r\x1b[2K${paint('cyan', frame, out)} ${clip(plain(text), widthOf(out) - 3)}`);
  };
  const timer = setInterval(draw, FRAME_MS);
  return {
    show(status) {
      latest = status;
      draw();
    },
    end() {
      clearInterval(timer);
      out.write('\r\x1b[2K');
    },
  };
}

function barText(percentage: number): string {
  const full = Math.round((percentage / 100) * WIDTH);
  return '█'.repeat(full) + '░'.repeat(WIDTH - full);
}

/** The state in words, with the rate since the first look and the time left by it. */
function paceOf(now: () => number): (status: Status) => string {
  let first: { at: number; ended: number } | undefined;
  return ({ status, progress, error_message }) => {
    const { total, percentage, ...outcomes } = progress;
    const ended = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
    first ??= { at: now(), ended };
    const seconds = (now() - first.at) / 1000;
    const rate = seconds > 0.5 ? (ended - first.ended) / seconds : 0;
    const other = Object.entries(outcomes).flatMap(([name, count]) =>
      name === 'completed' || count === 0 ? [] : [`${count} ${name.replaceAll('_', ' ')}`],
    );
    return [
      `${status.replaceAll('_', ' ')} ${ended} of ${total} (${percentage.toFixed(1)} %)`,
      ...other,
      ...(rate > 0 ? [`${rate < 10 ? rate.toFixed(1) : Math.round(rate)} a second`] : []),
      ...(rate > 0 && ended < total ? [`${span(((total - ended) / rate) * 1000)} left`] : []),
      // Why it waits for its next attempt.
      ...(status === 'scheduled' && error_message !== null ? [clip(error_message, LONGEST_REASON)] : []),
    ].join(', ');
  };
}

/** `1.4 MB`. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${power === 0 ? bytes : (bytes / 1000 ** power).toFixed(1)} ${units[power]}`;
}
