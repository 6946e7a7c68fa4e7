/** Commands of the weekly picks, and of what they cost. */
import { type Command, Option } from 'commander';
import { PURPOSES } from '../../platform/config/sections/model.ts';
import { collect, count, day, number, type Program, upTo } from './arguments.ts';

export function picksVerbs(program: Command, { all, finish }: Program): void {
  program.commandsGroup('Weekly picks:');
  const picks = program.command('picks').description('weekly stock picks: an automatic screen, not investment advice');
  picks
    .command('make')
    .argument('<users...>')
    .description('make the report of this week for users; what the language model may cost is named first')
    .option('--wait', 'wait for the reports and show them')
    .addOption(new Option('--timeout <seconds>', 'longest wait; the jobs continue').argParser(upTo(86_400)).default(300))
    .option('--pay-again', 'also where nobody knows whether an earlier call was paid for')
    .option('--yes', 'without asking about the price')
    .action(async (users, options) => finish(await (await import('../picks/make.ts')).make(users, all(options))));
  picks
    .command('show')
    .argument('<user>')
    .description('show the newest report of a user')
    .option('--week <monday>', 'of this week, YYYY-MM-DD', day)
    .action(async (user, options) => finish(await (await import('../picks/show.ts')).show(user, all(options))));
  picks
    .command('history')
    .argument('<user>')
    .description('list the reports of a user, newest first')
    .addOption(new Option('--limit <n>', 'at most this many').argParser(upTo(1_000)).default(20))
    .action(async (user, options) => finish(await (await import('../picks/show.ts')).history(user, all(options))));
  picks
    .command('record')
    .argument('<user>')
    .description('show what the picks of a user returned, beside the index')
    .action(async (user, options) => finish(await (await import('../picks/show.ts')).record(user, all(options))));
  profileVerb(picks, { all, finish });
  spendVerbs(program, { all, finish });
}

function profileVerb(picks: Command, { all, finish }: Program): void {
  picks
    .command('profile')
    .argument('<user>')
    .description('show the profile of a user, or change what the options name')
    .option('--risk <tolerance>', 'conservative, moderate or aggressive')
    .option('--timeline <years>', 'until the money is needed: <1y, 1-3, 3-5, 5-10 or 10+')
    .option('--experience <level>', 'none, beginner, intermediate or advanced')
    .option('--goal <goal>', 'such as retirement or extra_income; may be given several times', collect)
    .option('--budget <dollars>', 'a month: one share of a pick costs no more', number)
    .option('--interest <sector>', 'such as technology; may be given several times', collect)
    .option('--fractional', 'the broker sells parts of a share')
    .option('--no-fractional', 'the broker sells whole shares')
    .action(async (user, options) => finish(await (await import('../picks/show.ts')).profile(user, all(options))));
}

function spendVerbs(program: Command, { all, finish }: Program): void {
  const spend = program.command('spend').description('what paid calls of the language model cost, newest first');
  spend
    .addOption(new Option('--purpose <purpose>', 'only these').choices(PURPOSES))
    .option('--user <user>', 'only for this user')
    .addOption(new Option('--state <state>', 'only these').choices(['reserved', 'sent', 'answered', 'settled', 'released', 'unknown']))
    .addOption(new Option('--limit <n>', 'at most this many').argParser(upTo(1_000)).default(50))
    .addOption(new Option('--before <id>', 'only older ones: the next page').argParser(count))
    .action(async (options) => finish(await (await import('../picks/spend.ts')).spend(all(options))));
  spend
    .command('settle')
    .argument('<id>', 'a call whose payment is unknown', count)
    .description("say what a call cost by the provider's bill")
    .requiredOption('--usd <dollars>', 'its cost; 0 if it was not run', number)
    .action(async (id, options) => finish(await (await import('../picks/spend.ts')).settle(id, all(options))));
}
