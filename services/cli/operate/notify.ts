/** `stockmesh notify`: tries a route, lists what was told, keeps the addresses of users. */
import { userInfo } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { nowOf } from '../../ledger/job.ts';
import { COMMAND } from '../../platform/command-name.ts';
import { InputError } from '../../platform/errors.ts';
import { listStops, resumeAddress } from '../../platform/notify/stops.ts';
import { changeTold, isAddress, parseTold, requireAddress, type ToldChange } from '../../platform/notify/users.ts';
import { EVENT_NAMES } from '../../platform/outbox.ts';
import { recordChange } from '../../platform/registry/audit.ts';
import { isRouted, type MessageRow, messagesOfEvent, recentMessages, tryRoute } from '../../platform/registry/told.ts';
import { shellWord } from '../../platform/text/shell-word.ts';
import { parseUser } from '../../platform/user-id.ts';
import { cliActor } from '../actor.ts';
import { paint } from '../output/colour.ts';
import { stamp } from '../output/numbers.ts';
import { print, printJson } from '../output/print.ts';
import { type Column, plain, table } from '../output/table.ts';
import { type GlobalOptions, withSession } from '../session.ts';

type Options = GlobalOptions & { json?: boolean | undefined };

const LOOK_MS = 250;

/**
 * Sends a message by a route as the notifier sends all others, and waits for what becomes of it. Exit code 1 when it was not taken within `wait` seconds. Errors:
 * `InputError('notify_route.unknown' | 'notify.no_user' | 'user.invalid')`.
 */
export async function test(
  name: string,
  { json, user, wait, ...options }: Options & { user?: string | undefined; wait: number },
): Promise<number> {
  return withSession(options, async ({ db, clock, loaded }) => {
    const { routes } = loaded.config.notify;
    const asked = {
      ...{ name, user: user === undefined ? undefined : parseUser(user), actor: cliActor() },
      ...{ by: userInfo().username, now: nowOf({ clock }) },
    };
    const event = await db.transaction((tx) => tryRoute(tx, routes, asked));
    const end = performance.now() + wait * 1000;
    // In this order: its messages are committed with the mark that it was routed.
    const look = async () => ({ routed: await isRouted(db, event), rows: await messagesOfEvent(db, event) });
    let { routed, rows } = await look();
    while ((!routed || rows.some(({ state }) => state === 'open' || state === 'sending')) && performance.now() < end) {
      await delay(LOOK_MS);
      ({ routed, rows } = await look());
    }
    const ok = rows.length > 0 && rows.every(({ state }) => state === 'sent');
    if (json) printJson({ ok, messages: rows });
    else if (rows.length === 0 && routed)
      print(
        `nobody is told: each receiver has ended messages of this kind ("${COMMAND} notify subscribe USER notify.test" undoes that), or the notifier does not know the route "${name}" yet ("${COMMAND} reload" starts it again)`,
      );
    else if (rows.length === 0)
      print(`nobody has taken the event within ${wait} s: is the notifier running? ("${COMMAND} service notifier" starts one)`);
    else for (const row of rows) print(`${row.recipient}: ${stateOf(row)}${row.last_error === null ? '' : `: ${row.last_error}`}`);
    return ok ? 0 : 1;
  });
}

export async function list({ json, limit, route, ...options }: Options & { limit: number; route?: string | undefined }): Promise<number> {
  return withSession(options, async ({ db }) => {
    const [messages, stopped] = await Promise.all([recentMessages(db, { route, limit }), listStops(db, limit)]);
    if (json) printJson({ messages, stopped });
    else {
      if (messages.length === 0) print('nobody was told of anything');
      else print(table(messages, COLUMNS));
      for (const { address, code, reason, stopped_at } of stopped)
        print(
          plain(
            `not written to since ${stamp(stopped_at)}: ${address} (${code}): ${reason}; "${COMMAND} notify resume ${shellWord(address)}" undoes that`,
          ),
        );
    }
    return 0;
  });
}

const stateOf = ({ state, attempts }: MessageRow): string =>
  state === 'open' ? 'waits' : state === 'sending' ? `tried ${attempts} times` : state === 'suppressed' ? 'not sent' : state;

const COLUMNS: Column<MessageRow>[] = [
  { title: 'AT', value: ({ due_at }) => stamp(due_at) },
  { title: 'ROUTE', value: ({ route }) => route },
  { title: 'TO', value: ({ recipient }) => recipient, flexible: 16 },
  { title: 'EVENTS', value: ({ event, events }) => (events > 1 ? `${event} and ${events - 1} more` : event), flexible: 16 },
  { title: 'STATE', value: stateOf, paint: (text, { state }) => (state === 'failed' || state === 'bounced' ? paint('red', text) : text) },
  { title: 'REASON', value: ({ last_error }) => last_error, flexible: 20 },
];

/** Errors: `InputError('user.invalid' | 'notify.bad_address')`. */
export async function address(
  text: string,
  email: string | undefined,
  { json, remove, ...options }: Options & { remove?: boolean },
): Promise<number> {
  const user = parseUser(text);
  if ((email === undefined) === (remove !== true))
    throw new InputError('notify.bad_address', 'give an address, or --remove to take it back');
  if (email !== undefined) requireAddress(email);
  return change(
    user,
    { email: email ?? null },
    { json, ...options },
    `${user} is ${email === undefined ? 'not written to any more' : `written to at ${email}`}`,
  );
}

/** Of a user, or of an address of a route. Errors: `InputError('user.invalid' | 'notify.unknown_event')`. */
export async function subscribe(text: string, events: readonly string[], wanted: boolean, options: Options): Promise<number> {
  const who = parseTold(text);
  const unknown = events.find((event) => !(EVENT_NAMES as readonly string[]).includes(event));
  if (unknown !== undefined)
    throw new InputError('notify.unknown_event', `there is no event "${unknown}"; choose one of ${EVENT_NAMES.join(', ')}`);
  const critical = wanted || !isAddress(who) ? '' : '; what is critical is told to an address of a route all the same';
  return change(
    who,
    wanted ? { wants: events } : { unwants: events },
    options,
    `${who} is ${wanted ? 'told of' : 'not told any more of'} ${events.join(', ')}${critical}`,
  );
}

function change(who: string, what: ToldChange, { json, ...options }: Options, said: string): Promise<number> {
  return withSession(options, async ({ db, clock }) => {
    const now = nowOf({ clock });
    await db.transaction(async (tx) => {
      await changeTold(tx, who, what, now);
      // An address that is set by hand is right, whatever came back from it before.
      if (what.email) await resumeAddress(tx, what.email);
      recordChange(tx, cliActor(), { action: 'notify.user', target: `user:${who}`, details: Object.keys(what).join(', ') });
    });
    if (json) printJson({ ok: true });
    else print(said);
    return 0;
  });
}
