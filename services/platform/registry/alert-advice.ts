/** What each alert means and what to do: read by whoever is told of it. docs/operate.md has one table of all. */
import { COMMAND } from '../command-name.ts';

export interface Advice {
  /** What it means for users and for the work. */
  means: string;
  /** What to do. */
  todo: string;
  /** Shows more, or is the cure. */
  command: string;
}

export const ADVICE: Readonly<Record<string, Advice>> = {
  max_queue_depth: {
    means: 'Jobs come faster than the workers do them, or none does any.',
    todo: 'Look what waits and for how long; start more workers, or give them more places (worker.max_concurrent_jobs).',
    command: 'stats',
  },
  max_job_age: {
    means: 'Work that could start is not taken: there are too few free places, or more urgent jobs come first.',
    todo: 'Start more workers, or find what keeps them busy.',
    command: 'jobs --state running',
  },
  min_worker_efficiency: {
    means: 'Many jobs fail, most often because of one source or one kind of job.',
    todo: 'Read the reasons, mend the cause, and start the failed jobs again with "redrive --state failed".',
    command: 'jobs --state failed',
  },
  max_fetch_latency: {
    means: 'A source is slow, so logins wait longer for fresh data.',
    todo: 'Wait, or put a quicker source first (stock_jobs.data_fetch.sources).',
    command: 'stats',
  },
  stale_data: {
    means: 'Users see old prices of what they hold, though the market has newer ones.',
    todo: 'See why their fetches fail or wait, and fetch them again.',
    command: 'jobs --state failed',
  },
  outdated_data: {
    means: 'A source has fallen silent, or what is held was delisted.',
    todo: 'Look at the symbols; add another source where one has nothing newer.',
    command: 'stats',
  },
  no_worker: {
    means: 'Nothing is done until a worker runs, or nothing that needs what the alert names. No job is lost.',
    todo: 'Start a worker, with what is named in its worker.capabilities, and read the log of the one that has ended.',
    command: 'service worker',
  },
  no_worker_for_type: {
    means: 'Each worker that runs has other types in worker.supported_job_types, so these jobs wait until they expire.',
    todo: 'Start a worker for them, or take the list out of the configuration.',
    command: 'config show',
  },
  no_leader: {
    means: 'Nobody starts what is due, takes back the jobs of dead workers, or raises alerts; logins and requests go on.',
    todo: 'Start a scheduler, and read the log of the one that has ended.',
    command: 'service scheduler',
  },
  clock_offset: {
    means: "A machine's clock is not kept right. No job is harmed, since all go by the database's time, but logs and certificates are.",
    todo: 'Let NTP keep the clock of the machine that is named (timedatectl set-ntp true).',
    command: 'stats',
  },
  refused_logins: {
    means: 'Somebody signs in, or publishes, without the right to. It may be a wrong password, a wrong topic, or an attack.',
    todo: 'See who it is; mend the account or the hook, or shut the port to it.',
    command: 'audit --outcome refused',
  },
  broker_limits: {
    means: 'A client asks more of the broker than a mesh needs, and others may be held up.',
    todo: 'See who it is; mend it, or raise the limit (queue.mqtt.limits).',
    command: 'config show',
  },
  held_logins: {
    means: 'Logins come in faster than they are committed. None is lost: hooks keep what is not acknowledged.',
    todo: 'See whether portfolio-priority runs and reaches its database.',
    command: 'stats',
  },
  login_wait: {
    means: 'A login waits at the broker, since nobody commits it. It is not lost.',
    todo: 'See whether portfolio-priority runs and reaches its database.',
    command: 'service portfolio-priority',
  },
  source_down: {
    means:
      'The source failed several times in a row and is asked again after a pause. Other sources stand in; without one, data grows old.',
    todo: 'Read the reason: a key that has expired and a network that is away are yours to mend, the rest passes.',
    command: 'stats',
  },
  source_budget: {
    means: 'More is asked of the source than rate_limit allows, so fetches wait for the next minute.',
    todo: 'Raise stock_jobs.data_fetch.rate_limit if your contract allows it, add a source, or refresh less often.',
    command: 'stats',
  },
  unanswered_logins: {
    means: 'Their work is queued, but the users were not told, since nobody publishes the answers.',
    todo: 'See whether portfolio-priority runs and reaches the broker. It answers what is left when it starts.',
    command: 'service portfolio-priority',
  },
  callbacks_failing: {
    means:
      'The receiver refuses its webhooks or cannot be reached. Those that wait are tried again, for eight hours in all; those given up are not.',
    todo: "Ask whoever runs the receiver; a job's callbacks are in its details.",
    command: 'audit',
  },
  disk_nearly_full: {
    means: 'When the disk is full, downloads fail and a database on it stops.',
    todo: 'Make room, or move the folder; "history prune" deletes what interrupted downloads have left.',
    command: 'history prune',
  },
  spend_near_cap: {
    means: 'At the cap no further call is made, and reports go out without the words of the model.',
    todo: 'See what was spent on what; raise the cap (model.caps) or wait for the next day or week.',
    command: 'spend',
  },
  backup_too_old: {
    means: 'What was written since is lost with the database.',
    todo: 'Make a backup, and see why the last one did not run.',
    command: 'backup backups/$(date +%F)',
  },
};

/** With the whole command; null for an alert that another program has raised. */
export function adviceOf(name: string): Advice | null {
  const advice = ADVICE[name];
  return advice === undefined ? null : { ...advice, command: `${COMMAND} ${advice.command}` };
}

/** The lines that follow the text of an alert. */
export function adviceOn(name: string): string[] {
  const advice = adviceOf(name);
  return advice === null ? [] : [`What it means: ${advice.means}`, `What to do: ${advice.todo}`, `Command: ${advice.command}`];
}
