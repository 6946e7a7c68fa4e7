/** Commands that ask for work: a login, and one command for each job type that has one. */
import { Command, Option } from 'commander';
import type { CliForm, CliOption, JobType } from '../../job-types/job-type.ts';
import type { AskOptions } from '../commands/ask.ts';
import { collectChoice, type Program, upTo, valid } from './arguments.ts';

export function askVerbs(program: Command, parts: Program, types: readonly JobType[]): void {
  const { all, finish } = parts;
  program.commandsGroup('Ask for work:');
  waiting(program.command('login').argument('<user>').description('say that a user has signed in, as an application does')).action(
    async (user, options) => finish(await (await import('../commands/login.ts')).login(user, all(options))),
  );
  for (const { cli } of types) {
    if (cli === undefined) continue;
    const { verb, earlierVerb } = cli;
    program.addCommand(askVerb(verb, cli, parts));
    if (earlierVerb !== undefined) program.addCommand(askVerb(earlierVerb, cli, parts), { hidden: true });
  }
}

function askVerb(verb: string, form: CliForm, { all, finish }: Program): Command {
  const command = waiting(new Command(verb).argument(form.argument).description(form.about));
  for (const option of form.options) command.addOption(optionOf(option));
  return command.action(async (given: string | string[], options: object) =>
    finish(await (await import('../commands/ask.ts')).ask(form, [given].flat(), all(options) as AskOptions)),
  );
}

function optionOf({ flags, about, required, schema, anyOf, standard = [] }: CliOption): Option {
  const option = new Option(flags, about).makeOptionMandatory(required);
  if (schema !== undefined) option.argParser(valid(schema));
  if (anyOf !== undefined) option.default(standard, standard.join(', ')).argParser(collectChoice(anyOf, standard));
  return option;
}

function waiting(command: Command): Command {
  return command
    .option('--wait', 'until it is done: show progress, then what landed')
    .addOption(new Option('--timeout <seconds>', 'longest wait; the jobs go on').argParser(upTo(86_400)).default(120));
}
