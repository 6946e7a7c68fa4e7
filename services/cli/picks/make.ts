/** `stockmesh picks make`: asks for the weekly reports of users, after naming the price. */
import { createInterface } from 'node:readline/promises';
import { showPicks } from '../../job-types/picks/read.ts';
import { picksRequests } from '../../job-types/picks/request.ts';
import { universeRequests } from '../../job-types/picks-universe/request.ts';
import type { Origin } from '../../job-types/request.ts';
import type { JobRequest } from '../../ledger/enqueue/enqueue.ts';
import { weekOf } from '../../picks/report/week.ts';
import { reportPrice } from '../../picks/wording/price.ts';
import { InputError } from '../../platform/errors.ts';
import { parseUser } from '../../platform/user-id.ts';
import { submitFrom } from '../commands/request.ts';
import { FAILURE } from '../output/failure.ts';
import { print, printJson } from '../output/print.ts';
import { failures, unfinished } from '../output/results.ts';
import { plain } from '../output/table.ts';
import { untilEnded, type WaitOptions, withWatch } from '../output/wait.ts';
import { type GlobalOptions, type Session, withSession } from '../session.ts';
import { reportText } from './text.ts';

export interface MakeOptions extends GlobalOptions, WaitOptions {
  wait?: boolean | undefined;
  payAgain?: boolean | undefined;
  yes?: boolean | undefined;
}

/** Errors: `InputError('picks.unconfirmed')` where the reports may cost something and there is no terminal to ask on. */
export async function make(names: readonly string[], options: MakeOptions): Promise<number> {
  const users = [...new Set(names.map(parseUser))];
  return withSession(options, async (session) => {
    const { config } = session.loaded;
    const price = (await reportPrice(session.db, config, options.payAgain === true)) * users.length;
    if (price > 0 && !options.yes && !(await agreed(price))) return FAILURE;
    const origin: Origin = { cause: 'user_request', rules: config.jobs.priority_rules };
    const week = weekOf(session.clock.now());
    const universe = config.picks.generation ? await universeRequests({ db: session.db, clock: session.clock, config }) : [];
    const reports = picksRequests(users, { week, reason: 'manual_trigger', payAgain: options.payAgain === true, origin });
    return options.wait
      ? makeAndWait(session, { users, universe, reports }, options)
      : makeOnly(session, [...universe, ...reports], options);
  });
}

async function agreed(price: number): Promise<boolean> {
  const text = `the language model may cost up to $${price.toFixed(2)} for this`;
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new InputError('picks.unconfirmed', `${text}; confirm it with --yes`);
  const ask = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if (/^y(es)?$/i.test((await ask.question(`${text}. Go on? [y/N] `)).trim())) return true;
    process.stderr.write('nothing was asked for\n');
    return false;
  } finally {
    ask.close();
  }
}

async function makeOnly(session: Session, requests: readonly JobRequest[], { json }: MakeOptions): Promise<number> {
  const { accepted, refused } = await submitFrom(session, requests);
  const jobs = accepted.flatMap(({ request, answer }) =>
    answer.type === 'picks' ? [{ user: request.user ?? null, id: answer.id, state: answer.state }] : [],
  );
  const others = accepted.length - jobs.length;
  if (json) printJson({ ok: refused.length === 0, jobs, fetches: others, refused: refused.map(({ reason }) => reason) });
  else
    for (const { user, id } of jobs)
      print(`${plain(user ?? '')}: job ${id}${others === 0 ? '' : `, after ${others} jobs that bring the universe up to date`}`);
  for (const { reason } of refused) process.stderr.write(`stockmesh: refused: ${plain(reason)}\n`);
  return refused.length === 0 ? 0 : FAILURE;
}

interface Wanted {
  users: readonly string[];
  universe: readonly JobRequest[];
  reports: readonly JobRequest[];
}

function makeAndWait(session: Session, { users, universe, reports }: Wanted, options: MakeOptions): Promise<number> {
  return withWatch(session, options, async (watch) => {
    const { accepted, refused } = await submitFrom(session, [...universe, ...reports]);
    const ended = await untilEnded(session, watch, [...new Set(accepted.map(({ answer }) => answer.id))]);
    const own = ended.filter(({ type }) => type === 'picks');
    const bad = [...failures(own), ...unfinished(own)];
    const shown = await Promise.all(users.map((user) => showPicks({ ...session, config: session.loaded.config }, user)));
    if (options.json) printJson({ ok: bad.length + refused.length === 0, jobs: own, reports: shown.map(({ report }) => report ?? null) });
    else for (const { report, disclosures } of shown) if (report !== undefined) print(`${reportText(report, disclosures)}\n`);
    for (const { id, state, reason } of bad)
      process.stderr.write(`stockmesh: picks ${state}: ${plain(reason ?? 'no reason given')} (job ${id})\n`);
    for (const { reason } of refused) process.stderr.write(`stockmesh: refused: ${plain(reason)}\n`);
    return bad.length + refused.length === 0 ? 0 : FAILURE;
  });
}
