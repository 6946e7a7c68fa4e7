/** What `events/refused` tells, as a check of the scheduler and as counters: the embedded broker has no metrics of its own, and a hook over MQTT is not told of a refusal. */
import type { Bus } from '../platform/bus/bus.ts';
import type { Body } from '../platform/messages.ts';
import { LIMIT_CODE } from '../platform/refusals.ts';
import type { LimitCheck } from './thresholds.ts';

export interface RefusedLogins {
  /** `refused_logins`, and `broker_limits` for what the embedded broker did not take because of its limits. */
  checks(): LimitCheck[];
  /** Since the start of this process, by source and code. */
  counts(): { source: string; code: string; count: number }[];
  close(): Promise<void>;
}

const WINDOW_MINUTES = 5;
/** Messages of the window that are kept. Each source sends six a minute for a code. */
const MOST_KEPT = 10_000;
/** Pairs of source and code. Codes stand in our programs; the bound is for another one that publishes here. */
const MOST_PAIRS = 100;
/** Counted, and no reason for an alert: whoever looks which ports are open says nothing and meets it. */
const HARMLESS: ReadonlySet<string> = new Set([`${LIMIT_CODE}connect_timeout`]);

/** `max`: refusals within five minutes, beyond which the alert is raised. `now`: milliseconds of a clock that only goes forward. */
export function listenToRefusals(bus: Pick<Bus, 'subscribe'>, max: number, now: () => number = () => performance.now()): RefusedLogins {
  const totals = new Map<string, { source: string; code: string; count: number }>();
  let recent: { at: number; told: Body<'refused'> }[] = [];
  const subscription = bus.subscribe('refused', {}, ({ body }) => {
    const { source, code, count } = body;
    const key = `${source} ${code}`;
    const total = totals.get(key) ?? { source, code, count: 0 };
    if (totals.has(key) || totals.size < MOST_PAIRS) totals.set(key, { ...total, count: total.count + count });
    recent.push({ at: now(), told: body });
    if (recent.length > MOST_KEPT) recent.shift();
  });
  return {
    checks() {
      const since = now() - WINDOW_MINUTES * 60_000;
      recent = recent.filter(({ at }) => at > since);
      const told = recent.map(({ told }) => told);
      return [
        checkOf(
          told.filter(({ code }) => !code.startsWith(LIMIT_CODE)),
          max,
        ),
        limitsOf(told.filter(({ code }) => code.startsWith(LIMIT_CODE) && !HARMLESS.has(code))),
      ];
    },
    counts: () => [...totals.values()],
    close: () => subscription.close(),
  };
}

function limitsOf(told: readonly Body<'refused'>[]): LimitCheck {
  const met = told.reduce((sum, { count }) => sum + count, 0);
  const newest = told.at(-1);
  return {
    name: 'broker_limits',
    beyond: met > 0,
    value: met,
    threshold: 0,
    text: `limits of the embedded broker (queue.mqtt.limits) were met ${met} times within ${WINDOW_MINUTES} minutes${newest === undefined ? '' : `; the newest: ${describe(newest)}`}`,
    subjects: [...new Set(told.map(({ code }) => code))].sort().join(', '),
  };
}

function checkOf(told: readonly Body<'refused'>[], max: number): LimitCheck {
  const refused = told.reduce((sum, { count }) => sum + count, 0);
  const newest = told.at(-1);
  return {
    name: 'refused_logins',
    beyond: refused > max,
    value: refused,
    threshold: max,
    text:
      `${refused} logins, or publishes that the access rules do not allow, were refused within ${WINDOW_MINUTES} minutes; the limit is ${max} ` +
      `(monitoring.thresholds.max_refused_logins)${newest === undefined ? '' : `; the newest: ${describe(newest)}`}`,
    subjects: [...new Set(told.map(({ source, code }) => `${source} ${code}`))].sort().join(', '),
  };
}

function describe({ source, code, text, client_id, account, topic }: Body<'refused'>): string {
  const by = [client_id && `client ${client_id}`, account && `account ${account}`, topic && `topic ${topic}`].filter(Boolean).join(', ');
  return `${by === '' ? '' : `${by}: `}${text} (${code}, ${source})`;
}
