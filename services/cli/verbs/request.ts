/** Commands that request jobs: a login, and the command of each job type that has one. */
import { type Command, Option } from 'commander';
import type { CliForm, CliOption, JobType } from '../../job-types/job-type.ts';
import type { RequestOptions } from '../commands/request.ts';
import { collectChoice, type Program, upTo, valid } from './arguments.ts';

export function requestVerbs(program: Command, parts: Program, types: readonly JobType[]): void {
  const { all, finish } = parts;
  program.commandsGroup('Request jobs:');
  waiting(program.command('login').argument('<user>').description('report that a user has signed in, as an application does')).action(
    async (user, options) => finish(await (await import('../commands/login.ts')).login(user, all(options))),
  );
  for (const { cli } of types) {
    if (cli !== undefined) requestVerb(program.command(cli.verb), cli, parts);
  }
}

function requestVerb(command: Command, form: CliForm, { all, finish }: Program): void {
  waiting(command.argument(form.argument).description(form.about));
  for (const option of form.options) command.addOption(optionOf(option));
  command.action(async (given: string | string[], options: object) =>
    finish(await (await import('../commands/request.ts')).requestJobs(form, [given].flat(), all(options) as RequestOptions)),
  );
}

function optionOf({ flags, about, required, schema, anyOf, standard = [] }: CliOption): Option {
  const option = new Option(flags, about).makeOptionMandatory(required === true);
  if (schema !== undefined) option.argParser(valid(schema));
  if (anyOf !== undefined) option.default(standard, standard.join(', ')).argParser(collectChoice(anyOf, standard));
  return option;
}

function waiting(command: Command): Command {
  return command
    .option('--wait', 'wait until the jobs have ended: show progress, then the results')
    .addOption(new Option('--timeout <seconds>', 'longest wait; the jobs continue').argParser(upTo(86_400)).default(120));
}
