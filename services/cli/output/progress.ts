/** Shows jobs as they run, on standard error so that standard output has only the answer. A terminal gets a block that is redrawn, other outputs a line for each change. */
import { forTerminal } from '../../platform/text/characters.ts';
import { paint, paintState } from './colour.ts';
import { type FollowEvents, type FollowedJob, hasEnded } from './follow.ts';
import { span } from './numbers.ts';
import { clip, pad, plain, textWidth, widthOf } from './table.ts';

export const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
export const FRAME_MS = 80;

export interface Progress extends FollowEvents {
  /** Shows the reason for waiting while there are no jobs yet. */
  waiting(text: string): void;
  /** Removes the block from the terminal. */
  end(): void;
}

interface Shown {
  job: FollowedJob;
  since: number;
}

/** Lines kept free below the block, so that it never scrolls. */
const MARGIN_ROWS = 3;

/** `quiet`: shows progress on a terminal only, for `--json`. */
export function showProgress({ out = process.stderr, quiet = false }: { out?: NodeJS.WriteStream; quiet?: boolean } = {}): Progress {
  const live = out.isTTY === true && process.env.TERM !== 'dumb';
  return live ? liveProgress(out) : plainProgress(out, quiet);
}

/** Milliseconds. Shorter waits are not shown where the text cannot be removed again. */
const WORTH_A_LINE_MS = 1_000;

function plainProgress(out: NodeJS.WriteStream, quiet: boolean): Progress {
  let late: NodeJS.Timeout | undefined;
  let waitingFor = '';
  const printLine = (text: string): void => {
    clearTimeout(late);
    late = undefined;
    if (!quiet) out.write(`${plain(text)}\n`);
  };
  return {
    waiting(text) {
      waitingFor = text;
      late ??= setTimeout(() => printLine(waitingFor), WORTH_A_LINE_MS);
    },
    onNote: printLine,
    // Waiting is not shown, since every job waits first.
    onChange: (job) => {
      if (job.state !== 'ready' && job.state !== 'blocked') printLine(`${nameOf(job)} ${describe(job)}`);
    },
    end: () => clearTimeout(late),
  };
}

function liveProgress(out: NodeJS.WriteStream): Progress {
  const jobs = new Map<string, Shown>();
  let waitingFor: { text: string; since: number } | undefined;
  let drawn = 0;

  const erase = (): string => (drawn === 0 ? '' : `\x1b[${drawn}F\x1b[J`);
  const draw = (): void => {
    const width = widthOf(out) - 1;
    const now = performance.now();
    const frame = paint('cyan', FRAMES[Math.floor(now / FRAME_MS) % FRAMES.length] as string, out);
    const lines =
      jobs.size > 0
        ? block([...jobs.values()], frame, now, width, out)
        : waitingFor === undefined
          ? []
          : [`${frame} ${waitingFor.text}${timeOf(now - waitingFor.since)}`];
    out.write(erase() + lines.map((line) => `${forTerminal(line, true)}\n`).join(''));
    drawn = lines.length;
  };
  const timer = setInterval(draw, FRAME_MS);

  return {
    waiting(text) {
      waitingFor = { text, since: waitingFor?.since ?? performance.now() };
      draw();
    },
    onChange(job) {
      jobs.set(job.id, { job, since: jobs.get(job.id)?.since ?? performance.now() });
    },
    onNote(text) {
      out.write(`${erase()}${clip(plain(text), widthOf(out) - 1)}\n`);
      drawn = 0;
      draw();
    },
    end() {
      clearInterval(timer);
      out.write(erase());
      drawn = 0;
    },
  };
}

/** Whole tenths of seconds: milliseconds would flicker. */
function timeOf(ms: number): string {
  return ms < WORTH_A_LINE_MS ? '' : ` ${span(ms)}`;
}

/** Running jobs first, then waiting ones, then ended ones, as many as fit. The last line has the totals. */
function block(all: readonly Shown[], frame: string, now: number, width: number, out: NodeJS.WriteStream): string[] {
  const rank = ({ job }: Shown): number => (job.state === 'running' ? 0 : hasEnded(job.state) ? 2 : 1);
  const room = Math.max(1, (out.rows || 24) - MARGIN_ROWS);
  const shown = all.toSorted((a, b) => rank(a) - rank(b)).slice(0, room);
  const nameWidth = Math.max(...shown.map(({ job }) => textWidth(nameOf(job))));
  const lines = shown.map(({ job, since }) => {
    const mark = hasEnded(job.state)
      ? paintState(job.state === 'completed' ? '✓' : '✗', job.state, out)
      : job.state === 'running'
        ? frame
        : ' ';
    const head = pad(nameOf(job), nameWidth);
    const time = pad(span((job.endedAt ?? now) - since), 7, 'right');
    const rest = clip(describe(job), Math.max(8, width - textWidth(head) - 13));
    return `${mark} ${head}  ${time}  ${paintState(rest, job.state, out)}`;
  });
  const ended = all.filter(({ job }) => hasEnded(job.state)).length;
  return [...lines, paint('dim', `${ended} of ${all.length} done`, out)];
}

function nameOf({ symbol, type }: FollowedJob): string {
  return symbol === null ? type : `${symbol} ${type}`;
}

/** The state of a job, with its attempt, items and reason. */
export function describe({ state, worker, attempt, items, reason }: FollowedJob): string {
  const parts: string[] = [state.replaceAll('_', ' ')];
  if (state === 'running' && worker !== null) parts.push(`on ${worker}`);
  if (attempt > 1) parts.push(`attempt ${attempt}`);
  if (items !== null) parts.push(`${items.done} of ${items.total}`);
  const text = parts.join(', ');
  return reason === null ? text : `${text}: ${plain(reason)}`;
}
