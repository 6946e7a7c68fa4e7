/** Commands for the operator: schema, keys, configuration. */
import { type Command, Option } from 'commander';
import { AUDITED } from '../../platform/registry/audit.ts';
import { collect, count, day, expiry, type Program, span, upTo, zipf } from './arguments.ts';

export function operateVerbs(program: Command, { all, finish }: Program): void {
  program.commandsGroup('Operate:');
  const migrate = program.command('migrate').description('the schema of the database');
  migrate
    .command('up')
    .description('apply the migrations that are missing')
    .option('--yes', 'also those that services of the version before, which are alive, may not serve through')
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
  dbVerbs(program, { all, finish });
  instanceVerbs(program, { all, finish });
  backupVerbs(program, { all, finish });
  keyVerbs(program, { all, finish });
  program
    .command('dashboard')
    .description('print a link that opens the dashboard in a browser, signed in; it works once, within a minute')
    .option('--key <id-or-name>', 'the key that the browser gets; the one of the data folder if not given')
    .action(async (options) => finish(await (await import('../dashboard/link.ts')).dashboard(all(options))));
  program
    .command('audit')
    .description('list who changed what by hand, and who was refused, newest first')
    .addOption(new Option('--action <action>', 'only this kind').choices(Object.keys(AUDITED)))
    .option('--actor <actor>', 'only this key (by id) or account (account@host)')
    .option('--target <target>', 'only changes of this: job:<id>, user:<id>, key:<id> or position:<id>')
    .addOption(new Option('--outcome <outcome>', 'only changes, or only refusals').choices(['done', 'refused']))
    .addOption(new Option('--since <time>', 'only the last minutes, hours or days, such as 12h').argParser(span))
    .addOption(new Option('--limit <n>', 'at most this many').argParser(upTo(1_000)).default(50))
    .addOption(new Option('--before <id>', 'only rows older than this one: the next page').argParser(count))
    .action(async (options) => finish(await (await import('../commands/audit.ts')).audit(all(options))));
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
    .command('simulate')
    .description('simulate a day of logins on a virtual clock, by the configured rules; needs no mesh')
    .addOption(new Option('--users <n>', 'users who sign in, such as 1e6').argParser(upTo(50_000_000)).default(1_000))
    .addOption(new Option('--symbols <n>', 'symbols that they hold').argParser(upTo(400_000)).default(500))
    .option('--day <date>', 'the day, in New York', day, '2026-11-25')
    .addOption(new Option('--holdings <n>', 'symbols of a portfolio on average').argParser(upTo(100)).default(12))
    .addOption(new Option('--logins-per-user <n>', 'logins of each user in the day').argParser(upTo(100)).default(1))
    .addOption(
      new Option('--zipf <n>', 'popularity: the n-th symbol is held n^-zipf times as often as the first').argParser(zipf).default(1),
    )
    .option('--seed <text>', 'the same seed makes the same day', '1')
    .addOption(new Option('--source-ms <n>', 'median milliseconds in which a source answers').argParser(upTo(60_000)).default(200))
    .addOption(new Option('--cores <n>', 'processor cores; as docs/sizing.md says if not given').argParser(upTo(10_000)))
    .addOption(new Option('--workers <n>', 'worker processes; the same').argParser(upTo(10_000)))
    .addOption(new Option('--portfolio-priority <n>', 'portfolio-priority processes; the same').argParser(upTo(1_000)))
    .action(async (options) => finish(await (await import('../simulate/simulate.ts')).simulate(all(options))));
  program
    .command('asyncapi')
    .description('print the AsyncAPI document of the messages over MQTT')
    .action(async () => finish(await (await import('../commands/asyncapi.ts')).asyncapi()));
}

function dbVerbs(program: Command, { all, finish }: Program): void {
  program
    .command('db')
    .description('a database server of your own')
    .command('init')
    .description('make the schema, the accounts with passwords at random, the tables and the rights')
    .option(
      '--admin-url <url>',
      'server and account that may CREATE USER and GRANT, and the schema to make; better in STOCKMESH_DATABASE_ADMIN_URL',
    )
    .option(
      '--host <pattern>',
      'where the accounts connect from, such as 10.0.0.%; may be given several times; anywhere if not given',
      collect,
    )
    .option('--secrets <folder>', 'write the URLs of the accounts to files there, for their owner alone, and show none')
    .option('--new-passwords', 'also where the accounts are there already')
    .addOption(
      new Option('--sql', 'print the statements that make the schema and the accounts, and change nothing').conflicts(['secrets', 'json']),
    )
    .action(async (options) => finish(await (await import('../operate/db-init.ts')).init(all(options))));
}

function instanceVerbs(program: Command, { all, finish }: Program): void {
  const told = (action: 'drain' | 'reload', description: string): void => {
    program
      .command(action)
      .argument('<instance>', 'its name, as "top" shows it')
      .description(description)
      .option('--yes', 'without asking')
      .option('--no-wait', 'do not wait until it has happened')
      .action(async (instance, options) => finish(await (await import('../operate/instances.ts')).tell(action, instance, all(options))));
  };
  told('drain', 'let one service finish its work and end; nothing of it is lost');
  told('reload', 'let one service finish its work and start again, with the configuration as it is now');
}

function backupVerbs(program: Command, { all, finish }: Program): void {
  program
    .command('backup')
    .argument('<folder>', 'a new or empty folder')
    .description('write all rows of one moment into a folder, while the services work')
    .action(async (folder, options) => finish(await (await import('../operate/backup.ts')).backup(folder, all(options))));
  program
    .command('restore')
    .argument('<folder>', 'what "backup" has written')
    .description('put a backup into an empty database, and compare every row')
    .action(async (folder, options) => finish(await (await import('../operate/backup.ts')).restore(folder, all(options))));
}

function keyVerbs(program: Command, { all, finish }: Program): void {
  const key = program.command('key').description('keys to the HTTP API');
  key
    .command('create')
    .description('create a key and show it once')
    .requiredOption('--name <name>', 'name of the user or application')
    .requiredOption('--scope <scope>', 'read, jobs, login, admin or user:<id>; may be given several times', collect)
    .option(
      '--expires <when>',
      'end of the key: from now, such as 90d, or a moment, such as 2027-01-01T00:00:00Z; none if not given',
      expiry,
    )
    .action(async (options) => finish(await (await import('../commands/key.ts')).create(all(options))));
  key
    .command('list')
    .description('list all keys, the newest first')
    .action(async (options) => finish(await (await import('../commands/key.ts')).list(all(options))));
  key
    .command('rotate')
    .argument('<id-or-name>')
    .description('give a key a new secret and show it once; the old one goes on working for a while')
    .option('--overlap <time>', 'how long the old secret works, such as 12h or 0s; gateway.keys.rotation_overlap if not given', span)
    .option('--expires <when>', 'a new end of the key; the end stays if not given', expiry)
    .action(async (idOrName, options) => finish(await (await import('../commands/key.ts')).rotate(idOrName, all(options))));
  key
    .command('webhook-secret')
    .argument('<id-or-name>')
    .description('give the webhooks of a key a new secret and show it once; the old one signs too for a while')
    .option('--overlap <time>', 'how long the old secret signs too, such as 12h or 0s; gateway.keys.rotation_overlap if not given', span)
    .action(async (idOrName, options) => finish(await (await import('../commands/key.ts')).webhookSecret(idOrName, all(options))));
  key
    .command('revoke')
    .argument('<id-or-name>')
    .description('revoke a key at once')
    .action(async (idOrName, options) => finish(await (await import('../commands/key.ts')).revoke(idOrName, all(options))));
}
