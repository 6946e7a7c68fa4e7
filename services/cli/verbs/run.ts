/** Commands that run the mesh or a part of it. */
import { type Command, Option } from 'commander';
import { count, type Program, upTo } from './arguments.ts';

export function runVerbs(program: Command, { all, finish }: Program): void {
  program.commandsGroup('Run:');
  program
    .command('up')
    .description('start the whole mesh on this machine: database, broker, services')
    .option('--yes', 'install what is missing without asking')
    .option('--workers <n>', 'worker processes', count, 1)
    .option('--mqtt-port <port>', 'port of the embedded broker', count)
    .option('--http-port <port>', 'port of the HTTP API', count)
    .option('--source <names>', 'market sources, separated by commas; the first that answers is used')
    .option('--lean-path <folder>', 'a QuantConnect Lean data folder')
    .action(async (options) => finish(await (await import('../mesh/up.ts')).up(all(options))));
  program
    .command('demo')
    .description('start a separate mesh, sign the demo users in, show the results, clean up')
    .option('--yes', 'install what is missing without asking')
    .option('--mqtt-port <port>', 'port of the embedded broker; a free one if not given', count)
    .option('--http-port <port>', 'port of the HTTP API; a free one if not given', count)
    .option('--source <names>', 'market sources, separated by commas; the first that answers is used')
    .option('--lean-path <folder>', 'a QuantConnect Lean data folder')
    .addOption(new Option('--timeout <seconds>', 'longest wait until all data is fresh').argParser(upTo(86_400)).default(120))
    .action(async (options) => finish(await (await import('../mesh/demo.ts')).demo(all(options))));
  program
    .command('service')
    .argument('<name>', 'worker, scheduler, portfolio-priority, notifier or gateway')
    .option('--instance <name>', 'name of this process in the ledger and on the broker')
    .description('run one service in this process')
    .action(async (name, options) => finish(await (await import('../mesh/service.ts')).service(name, all(options))));
}
