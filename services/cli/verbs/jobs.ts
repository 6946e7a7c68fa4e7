/** Commands that list and change jobs. */
import { type Command, Option } from 'commander';
import type { JobType } from '../../job-types/job-type.ts';
import { QUEUES, STATES } from '../../ledger/job.ts';
import { REDRIVABLE_STATES } from '../../platform/job-states.ts';
import { asCsv, type Program, upTo } from './arguments.ts';

export function jobVerbs(program: Command, { all, finish }: Program, types: readonly JobType[]): void {
  const names = types.map(({ name }) => name);
  program.commandsGroup('Jobs:');
  program
    .command('jobs')
    .description('list jobs, newest first')
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(STATES))
    .addOption(new Option('--queue <queue>', 'only jobs of this queue').choices(QUEUES))
    .option('--symbol <symbol>', 'only jobs for this symbol')
    .option('--user <user>', 'only jobs that this user waits for')
    .addOption(new Option('--type <type>', 'only jobs of this type').choices(names))
    .addOption(new Option('--limit <n>', 'at most this many').argParser(upTo(1_000)).default(20))
    .option('--before <id>', 'only jobs older than this one: the next page')
    .addOption(asCsv())
    .action(async (options) => finish(await (await import('../commands/jobs.ts')).jobs(all(options))));
  program
    .command('job')
    .argument('<id>')
    .description('show one job: why it has its priority, its attempts, its items, its result')
    .action(async (id, options) => finish(await (await import('../commands/jobs.ts')).job(id, all(options))));
  program
    .command('cancel')
    .argument('<id>')
    .description('cancel a job that has not ended')
    .action(async (id, options) => finish(await (await import('../commands/control.ts')).cancel(id, all(options))));
  program
    .command('retry')
    .argument('<id>')
    .description('start an ended job again, or a scheduled one now')
    .action(async (id, options) => finish(await (await import('../commands/control.ts')).retry(id, all(options))));
  program
    .command('redrive')
    .description('start all failed jobs again')
    .addOption(new Option('--type <type>', 'only jobs of this type').choices(names))
    .option('--symbol <symbol>', 'only jobs for this symbol')
    .addOption(new Option('--state <state>', 'jobs that ended this way').choices(REDRIVABLE_STATES).default('failed'))
    .action(async (options) => finish(await (await import('../commands/control.ts')).redrive(all(options))));
}
