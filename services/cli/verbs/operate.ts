/** Commands for the operator: schema, keys, configuration. */
import type { Command } from 'commander';
import { collect, count, type Program } from './arguments.ts';

export function operateVerbs(program: Command, { all, finish }: Program): void {
  program.commandsGroup('Operate:');
  const migrate = program.command('migrate').description('the schema of the database');
  migrate
    .command('up')
    .description('apply the migrations that are missing')
    .action(async (options) => finish(await (await import('../commands/migrate.ts')).up(all(options))));
  migrate
    .command('down')
    .description('undo the newest migrations; the rows of their tables are lost')
    .option('--steps <n>', 'number of migrations', count, 1)
    .option('--yes', 'without asking')
    .action(async (options) => finish(await (await import('../commands/migrate.ts')).down(all(options))));
  migrate
    .command('status')
    .description('list all migrations and when each was applied')
    .action(async (options) => finish(await (await import('../commands/migrate.ts')).status(all(options))));
  migrate
    .command('grants')
    .description('print the SQL that gives an account for dashboards its rights')
    .option('--account <user@host>', 'the account', 'stockmesh_read@%')
    .action(async (options) => finish(await (await import('../commands/migrate.ts')).grants(all(options))));
  const key = program.command('key').description('keys to the HTTP API');
  key
    .command('create')
    .description('create a key and show it once')
    .requiredOption('--name <name>', 'name of the user or application')
    .requiredOption('--scope <scope>', 'read, jobs, admin or user:<id>; may be given several times', collect)
    .action(async (options) => finish(await (await import('../commands/key.ts')).create(all(options))));
  key
    .command('list')
    .description('list all keys, the newest first')
    .action(async (options) => finish(await (await import('../commands/key.ts')).list(all(options))));
  key
    .command('revoke')
    .argument('<id-or-name>')
    .description('revoke a key at once')
    .action(async (idOrName, options) => finish(await (await import('../commands/key.ts')).revoke(idOrName, all(options))));
  const config = program.command('config').description('the configuration');
  config
    .command('check')
    .argument('[files...]', 'the files to check; if not given, the files in use')
    .description('check configuration files')
    .action(async (files, options) => finish(await (await import('../commands/config.ts')).check(files, all(options))));
  config
    .command('show')
    .argument('[key]', 'a key or a section')
    .description('show the effective value of each key and its origin')
    .action(async (key, options) => finish(await (await import('../commands/config.ts')).show(key, all(options))));
  program
    .command('asyncapi')
    .description('print the AsyncAPI document of the messages over MQTT')
    .action(async () => finish(await (await import('../commands/asyncapi.ts')).asyncapi()));
}
