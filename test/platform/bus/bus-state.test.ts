import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type BusState, keepBusState } from '../../../services/platform/bus/bus-state.ts';
import { ManualClock } from '../../../services/platform/clock.ts';

const START = '2026-01-02T14:30:00Z';

function kept() {
  const lines: string[] = [];
  const clock = new ManualClock(START);
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line).msg) });
  return { lines, clock, keeper: keepBusState(clock, log) };
}

test('each outage is logged once, however often a connection fails, and so is each return', () => {
  const { lines, keeper } = kept();
  for (const reason of ['first outage', 'second outage']) {
    for (let tries = 0; tries < 3; tries++) {
      keeper.lost(reason);
      keeper.set(false);
    }
    keeper.set(true);
    keeper.set(true);
  }
  expect(lines).toEqual([
    expect.stringContaining('broker not reachable (first outage)'),
    'broker connected',
    expect.stringContaining('broker not reachable (second outage)'),
    'broker connected',
  ]);
});

test('since when it is online or offline changes with the state only', () => {
  const { clock, keeper } = kept();
  const since = () => [keeper.state, keeper.since.toString()];
  clock.advance({ seconds: 1 });
  keeper.set(false);
  expect(since()).toEqual(['offline', START]);
  keeper.set(true);
  clock.advance({ seconds: 1 });
  keeper.set(true);
  expect(since()).toEqual(['online', '2026-01-02T14:30:01Z']);
});

test('who waits is let go when it is online, told when it closes, and free to wait no longer', async () => {
  const { keeper } = kept();
  const waiting = keeper.online();
  const impatient = new AbortController();
  const leaving = expect(keeper.online(impatient.signal)).rejects.toThrow('waited long enough');
  impatient.abort(new Error('waited long enough'));
  await leaving;
  keeper.set(true);
  await waiting;
  await keeper.online();
  keeper.set(false);
  const closing = expect(keeper.online()).rejects.toMatchObject({ code: 'bus.closed' });
  keeper.close();
  await closing;
});

test('after its close it is never online again, and logs nothing more', () => {
  const { lines, keeper } = kept();
  keeper.close();
  keeper.lost('gone');
  keeper.set(true);
  expect([keeper.closing, keeper.state, lines]).toEqual([true, 'offline', []]);
});

test('changes are told to those who listen, until they listen no more', () => {
  const { keeper } = kept();
  const heard: BusState[] = [];
  const stop = keeper.onState((state) => heard.push(state));
  for (const online of [false, true, true, false]) keeper.set(online);
  stop();
  keeper.set(true);
  expect(heard).toEqual(['online', 'offline']);
});
