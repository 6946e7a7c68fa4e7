/** Commands for what people are told. */
import type { Command } from 'commander';
import { count, type Program, upTo } from './arguments.ts';

export function notifyVerbs(program: Command, { all, finish }: Program): void {
  const notify = program.command('notify').description('messages to people');
  const load = () => import('../operate/notify.ts');
  notify
    .command('test')
    .argument('<route>')
    .description('send a message by a route and wait until it is taken')
    .option('--user <user>', 'whom a route to "requester" tells')
    .option('--wait <seconds>', 'how long to wait', count, 30)
    .action(async (route, options) => finish(await (await load()).test(route, all(options))));
  notify
    .command('list')
    .description('list the last messages, the newest first, with the reason where one was not sent')
    .option('--route <name>', 'only those of this route')
    .option('--limit <n>', 'at most this many', upTo(1_000), 50)
    .action(async (options) => finish(await (await load()).list(all(options))));
  notify
    .command('address')
    .argument('<user>')
    .argument('[address]')
    .description('set the e-mail address of a user')
    .option('--remove', 'take it back')
    .action(async (user, address, options) => finish(await (await load()).address(user, address, all(options))));
  const loadBounce = () => import('../operate/bounce.ts');
  notify
    .command('bounce')
    .description('read a message that came back from standard input, as a mail server pipes it, and note why')
    .option('--file <path>', 'read it from a file')
    .action(async (options) => finish(await (await loadBounce()).bounce(all(options))));
  notify
    .command('resume')
    .argument('<address>')
    .description('write again to an address that mail has come back from')
    .action(async (address, options) => finish(await (await loadBounce()).resume(address, all(options))));
  for (const [verb, wanted] of [
    ['unsubscribe', false],
    ['subscribe', true],
  ] as const)
    notify
      .command(verb)
      .argument('<user>', 'or an e-mail address of a route')
      .argument('<event...>')
      .description(wanted ? 'tell a user of events again' : 'do not tell a user of events any more')
      .action(async (user, events, options) => finish(await (await load()).subscribe(user, events, wanted, all(options))));
}
