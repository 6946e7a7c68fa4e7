/** `stockmesh top`: the mesh live. The metrics are read from the database once a second, the events from the broker; without the broker the metrics go on. */

import { setTimeout as delay } from 'node:timers/promises';
import { nowOf } from '../../ledger/job.ts';
import type { Bus } from '../../platform/bus/bus.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { messageOf, TransientError } from '../../platform/errors.ts';
import type { Body } from '../../platform/messages.ts';
import { paint, paintState } from '../output/colour.ts';
import { span } from '../output/numbers.ts';
import { type Overview, QUEUE_COLUMNS, readOverview, summaryLine, workerLines, workerTable } from '../output/overview.ts';
import { openScreen } from '../output/screen.ts';
import { clip, plain, table } from '../output/table.ts';
import { type GlobalOptions, type Session, withSession } from '../session.ts';

const REFRESH_MS = 1_000;
const LINE_MS = 5_000;
/** Events that are kept: more than a terminal has rows. */
const FEED = 200;

/** Runs until `q`, Ctrl-C or SIGTERM. */
export async function top(options: GlobalOptions): Promise<number> {
  return withSession(options, async (session) => {
    const bus = await session.bus();
    const stop = new AbortController();
    const end = (): void => stop.abort();
    process.once('SIGINT', end).once('SIGTERM', end).once('SIGHUP', end);
    try {
      await (process.stdout.isTTY && process.env.TERM !== 'dumb' ? live(session, bus, stop) : lines(session, bus, stop));
    } finally {
      process.off('SIGINT', end).off('SIGTERM', end).off('SIGHUP', end);
    }
    return 0;
  });
}

/** The overview, or why there is none at this moment. */
async function look(session: Session): Promise<Overview | string> {
  try {
    return await readOverview(session);
  } catch (error) {
    if (!(error instanceof TransientError)) throw error;
    return messageOf(error);
  }
}

async function lines(session: Session, bus: Bus, stop: AbortController): Promise<void> {
  process.stdout.once('error', () => stop.abort());
  const { signal } = stop;
  await bus.online(AbortSignal.any([signal, AbortSignal.timeout(REFRESH_MS)])).catch(() => undefined);
  while (!signal.aborted) {
    const seen = await look(session);
    const broker = bus.state === 'online' ? 'broker online' : 'broker away: by polling';
    process.stdout.write(`${nowOf(session).toISOString()}  ${typeof seen === 'string' ? plain(seen) : summaryLine(seen)}  ${broker}\n`);
    await delay(LINE_MS, undefined, { signal }).catch(() => undefined);
  }
}

interface FeedLine {
  at: string;
  text: string;
  state?: Body<'status'>['state'];
}

async function live(session: Session, bus: Bus, stop: AbortController): Promise<void> {
  const feed: FeedLine[] = [];
  const show = (text: string, state?: FeedLine['state']): void => {
    feed.unshift({ at: nowOf(session).toISOString().slice(11, 19), text: plain(text), ...(state === undefined ? {} : { state }) });
    feed.length = Math.min(feed.length, FEED);
  };
  bus.subscribe('job', { concurrency: 1 }, ({ body, params }) => {
    show(
      `stock/${params.area}/${params.key}  priority ${body.priority}, ${body.triggered_by}${body.user === undefined ? '' : ` ${body.user}`}`,
    );
  });
  bus.subscribe('status', { concurrency: 1 }, ({ body: { id, type, symbol, state, worker, reason } }) => {
    const what = `${symbol === undefined ? '' : `${symbol} `}${type} ${state.replaceAll('_', ' ')}`;
    // The id last: it is what a narrow terminal cuts off.
    show(`jobs  ${what}${worker === undefined ? '' : ` on ${worker}`}${reason === undefined ? '' : `: ${reason}`}  ${id}`, state);
  });

  const screen = openScreen({ onKey: (key) => (key === 'q' || key === 'Q' || key === '\x03') && stop.abort() });
  try {
    for (let seen = await look(session); !stop.signal.aborted; seen = await look(session)) {
      const draw = (): void => screen.draw(frame(seen, bus, feed, { now: nowOf(session), columns: screen.columns, rows: screen.rows }));
      draw();
      // New events and a changed terminal size are shown before the next read of the database.
      const redraw = setInterval(draw, REFRESH_MS / 4);
      await delay(REFRESH_MS, undefined, { signal: stop.signal }).catch(() => undefined);
      clearInterval(redraw);
    }
  } finally {
    screen.close();
  }
}

/** The lines of one picture, exactly as many as there are rows at most. */
function frame(
  seen: Overview | string,
  bus: Bus,
  feed: readonly FeedLine[],
  { now, columns, rows }: { now: Date; columns: number; rows: number },
): string[] {
  const away = bus.state === 'offline';
  const broker = away ? paint('yellow', 'broker away: by polling, no feed') : paint('green', 'broker online');
  const head = `${paint('bold', 'stockmesh top')}  ${now.toISOString().slice(11, 19)} UTC  ${broker}`;
  const keys = paint('dim', 'q quits');
  if (typeof seen === 'string') return [head, '', paint('red', clip(plain(seen), columns)), '', keys];

  const { ledger, workers } = seen.metrics;
  const alerts = seen.alerts.map(({ name, text, since }) =>
    paint('red', clip(`alert ${name} for ${span(now.getTime() - since.getTime())}: ${plain(text)}`, columns)),
  );
  const totals = `last minute: ${ledger.enqueued_last_minute} in, ${ledger.completed_last_minute} done, ${ledger.failed_last_minute} failed   dead letter: ${ledger.failed}   slots busy: ${workers.busy} of ${workers.slots}`;
  const queues = split(table(ledger.queues, QUEUE_COLUMNS, columns));
  const all = workerLines(seen);
  // Half of what is left for the workers at most, the rest for the feed.
  const left = rows - 6 - queues.length - alerts.length;
  const room = Math.max(2, Math.min(all.length, Math.ceil(left / 2)));
  const hidden = all.length - Math.min(all.length, room);
  const running = all.length === 0 ? [paint('red', 'no worker is alive')] : split(workerTable(all.slice(0, room), now, columns));
  const fixed = [
    head,
    '',
    ...queues,
    clip(totals, columns),
    '',
    ...alerts,
    ...running,
    ...(hidden > 0 ? [paint('dim', `… ${hidden} more`)] : []),
    '',
  ];
  const feedRows = Math.max(0, rows - fixed.length - 1);
  const told = feed.slice(0, feedRows).map(({ at, text, state }) => {
    const line = clip(text, Math.max(8, columns - at.length - 2));
    return `${paint('dim', at)}  ${state === undefined ? line : paintState(line, state)}`;
  });
  const note = away
    ? paint('yellow', clip(plain(`the broker cannot be reached: ${bus.report().reason}`), columns))
    : paint('dim', clip(`nothing has happened yet: try "${COMMAND} login alice" elsewhere`, columns));
  return [...fixed, ...(told.length === 0 ? [note] : told)].slice(0, rows - 1).concat(keys);
}

function split(text: string): string[] {
  return text.trimEnd().split('\n');
}
