import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { ConfigError, InputError, messageOf } from '../../platform/errors.ts';
import { programEnvironment } from '../../platform/machine/environment.ts';
import { findProgram } from '../../platform/machine/programs.ts';

interface SystemPackage {
  /** One of these is enough. */
  readonly programs: readonly string[];
  readonly why: string;
  /** Names in Debian and Ubuntu; the first that the machine's lists know is taken. */
  readonly apt: readonly string[];
  readonly dnf: string;
  readonly brew: string;
  /** A systemd unit that Debian starts at installation. Our servers are private, so it is stopped and disabled again. */
  readonly unit?: string;
}

const packages = {
  mariadb: {
    programs: ['mariadbd', 'mysqld'],
    why: 'the database server; it runs privately out of the data folder, no system service is started',
    // Ubuntu 22.04 has the version in the name.
    apt: ['mariadb-server-core', 'mariadb-server-core-10.6'],
    dnf: 'mariadb-server',
    brew: 'mariadb',
  },
  mosquitto: {
    programs: ['mosquitto'],
    why: 'a second MQTT broker that the tests compare the embedded one with; its system service is switched off again',
    apt: ['mosquitto'],
    dnf: 'mosquitto',
    brew: 'mosquitto',
    unit: 'mosquitto.service',
  },
  'mosquitto-clients': {
    programs: ['mosquitto_sub'],
    why: 'mosquitto_pub and mosquitto_sub, with which a person watches and triggers jobs',
    apt: ['mosquitto-clients'],
    dnf: 'mosquitto',
    brew: 'mosquitto',
  },
  chromium: {
    programs: ['chromium', 'chromium-browser', 'google-chrome'],
    why: 'a browser without a window, in which the tests read the dashboard as a person does',
    apt: ['chromium'],
    dnf: 'chromium',
    brew: 'chromium',
  },
  prometheus: {
    programs: ['prometheus'],
    why: 'it reads the metrics and the alert rules in the tests; its system service is switched off again',
    apt: ['prometheus'],
    dnf: 'golang-github-prometheus',
    brew: 'prometheus',
    unit: 'prometheus.service',
  },
} satisfies Record<string, SystemPackage>;

export type Need = keyof typeof packages;
const needs = Object.keys(packages) as Need[];

interface Finished {
  readonly code: number;
  readonly output: string;
}

/** The machine: facts about it, and commands that run on it. */
export interface System {
  readonly platform: NodeJS.Platform;
  readonly uid: number;
  /** The text of /etc/os-release; empty where there is none. */
  readonly osRelease: string;
  readonly systemd: boolean;
  find(programs: readonly string[]): string | undefined;
  /** Runs a program to its end and writes its output to `logFile`; `terminal` connects it to the terminal instead. */
  run(command: readonly string[], options?: { terminal?: boolean }): Promise<Finished>;
  ask(question: string): Promise<string>;
  /** Where the output of `run` is kept. */
  readonly logFile: string;
}

export interface InstallOptions {
  readonly need: readonly Need[];
  /** Install without asking. */
  readonly yes?: boolean;
  /** Whether a person can be asked on a terminal. */
  readonly interactive?: boolean;
  readonly print?: (line: string) => void;
  readonly system?: System;
}

/**
 * Installs those of `need` that the machine lacks, and touches nothing if it lacks none. It first prints what is missing and why. Root installs at once; any other
 * user is asked on the terminal, and sudo installs; `yes` asks nothing.
 * @throws ConfigError `install.not_permitted`, `install.declined`, `install.unsupported`: with the one command that does it;
 *   `install.failed`: with the end of the package manager's output.
 */
export async function ensureInstalled({
  need,
  yes = false,
  interactive = process.stdin.isTTY === true && process.stdout.isTTY === true,
  print = console.log,
  system = thisSystem(),
}: InstallOptions): Promise<void> {
  const missing = need.filter((name) => system.find(packages[name].programs) === undefined);
  if (missing.length === 0) return;
  for (const name of missing) print(`missing: ${name}: ${packages[name].why}`);
  if (!isDebian(system))
    throw new ConfigError(
      'install.unsupported',
      `${missing.join(', ')} must be installed by hand here: ${commandElsewhere(system, missing)}`,
    );

  const names = await known(missing, system);
  const byHand = `${asAdministrator(system)}apt-get install --no-install-recommends ${missing.map((name, index) => names[index] ?? packages[name].apt[0]).join(' ')}`;
  const prefix = await permission({ missing, byHand, yes, interactive, system });
  const administer = (command: readonly string[]) => system.run([...prefix, ...command]);
  await withProgress(`installing ${missing.join(', ')}`, { interactive, print }, () =>
    install(missing, names, { administer, byHand, system }),
  );
}

function isDebian({ platform, osRelease }: System): boolean {
  return platform === 'linux' && /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(osRelease);
}

/** The word before a command for people who are not root; empty where sudo does not exist or is not needed. */
function asAdministrator(system: System): string {
  return system.uid === 0 || system.find(['sudo']) === undefined ? '' : 'sudo ';
}

function commandElsewhere(system: System, missing: readonly Need[]): string {
  const { platform, osRelease } = system;
  const names = (manager: 'brew' | 'dnf') => [...new Set(missing.map((name) => packages[name][manager]))].join(' ');
  if (platform === 'darwin') return `brew install ${names('brew')}`;
  if (/^ID(_LIKE)?=.*\b(fedora|rhel|centos)\b/m.test(osRelease)) return `${asAdministrator(system)}dnf install ${names('dnf')}`;
  return `with your system's package manager, so that ${missing.map((name) => packages[name].programs[0]).join(', ')} can be found in PATH`;
}

/** The way out for a person who cannot install anything. */
function withoutInstalling(missing: readonly Need[]): string {
  return missing.includes('mariadb')
    ? '; or use a database server that runs elsewhere: STOCKMESH_DATABASE_URL=mysql://user:password@host/database'
    : '';
}

/** The words before an administrator's command: none for root, sudo for a user who is allowed to and agrees. */
async function permission({
  missing,
  byHand,
  yes,
  interactive,
  system,
}: {
  missing: readonly Need[];
  byHand: string;
  yes: boolean;
  interactive: boolean;
  system: System;
}): Promise<string[]> {
  if (system.uid === 0) return [];
  const refused = (why: string) => new ConfigError('install.not_permitted', `${why}: run this once, then start again: ${byHand}`);
  // Telling this person to run sudo would not help.
  if (system.find(['sudo']) === undefined)
    throw new ConfigError(
      'install.not_permitted',
      `installing needs root, and this user is not root and has no sudo: as root, or by an administrator, run this once: ${byHand}${withoutInstalling(missing)}`,
    );
  if (yes) {
    const { code } = await system.run(['sudo', '-n', 'true']);
    if (code !== 0) throw refused('sudo asks for a password, which --yes cannot give');
    return ['sudo', '-n'];
  }
  if (!interactive) throw refused('installing needs root, and there is no terminal to ask on (--yes allows it)');
  const answer = (await system.ask(`Install it now with "${byHand}"? [Y/n] `)).trim().toLowerCase();
  if (!['', 'y', 'yes'].includes(answer)) throw new ConfigError('install.declined', `nothing was installed; when you want to: ${byHand}`);
  // Asks for the password here, where a spinner does not write over it.
  const { code } = await system.run(['sudo', '-v'], { terminal: true });
  if (code !== 0) throw refused('sudo did not allow it');
  return ['sudo'];
}

interface Means {
  readonly administer: (command: readonly string[]) => Promise<Finished>;
  readonly byHand: string;
  readonly system: System;
}

async function install(
  missing: readonly Need[],
  listed: readonly (string | undefined)[],
  { administer, byHand, system }: Means,
): Promise<void> {
  const failed = (output: string) =>
    new ConfigError(
      'install.failed',
      `the installation failed; the end of ${system.logFile}:\n${tail(output)}\nTo see all of it, run: ${byHand}`,
    );
  const update = async () => {
    const { code, output } = await administer(['apt-get', 'update']);
    if (code !== 0) throw failed(output);
  };
  const updated = listed.includes(undefined);
  if (updated) await update();
  const names = updated ? await known(missing, system) : listed;
  const unknown = missing.filter((_, index) => names[index] === undefined);
  if (unknown.length > 0)
    throw new ConfigError(
      'install.unsupported',
      `no package source of this machine has ${unknown.map((name) => packages[name].apt[0]).join(', ')}: add one, or install it by hand`,
    );

  const command = [
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'LC_ALL=C',
    'apt-get',
    'install',
    '-y',
    '--no-install-recommends',
    '-o',
    'DPkg::Lock::Timeout=120',
  ];
  let result = await administer([...command, ...names.filter((name) => name !== undefined)]);
  // Old lists name files that the mirror no longer has.
  if (result.code !== 0 && !updated && /Failed to fetch|404 +Not Found/.test(result.output)) {
    await update();
    result = await administer([...command, ...names.filter((name) => name !== undefined)]);
  }
  if (result.code !== 0 || missing.some((name) => system.find(packages[name].programs) === undefined)) throw failed(result.output);
  for (const { unit } of missing.map((name): SystemPackage => packages[name])) {
    if (unit !== undefined && system.systemd) await administer(['systemctl', 'disable', '--now', unit]);
  }
}

/** For each need the package name that the machine's lists have a candidate for, or undefined. */
async function known(missing: readonly Need[], system: System): Promise<(string | undefined)[]> {
  const { output } = await system.run(['env', 'LC_ALL=C', 'apt-cache', 'policy', ...missing.flatMap((name) => packages[name].apt)]);
  const available = new Set([...output.matchAll(/^(\S+):\n(?: .*\n)*? +Candidate: (?!\(none\))/gm)].map((match) => match[1]));
  return missing.map((name) => packages[name].apt.find((candidate) => available.has(candidate)));
}

function tail(output: string): string {
  return output.trimEnd().split('\n').slice(-15).join('\n');
}

/** A spinner with the seconds on a terminal; plain lines, at most one in ten seconds, elsewhere. */
async function withProgress(
  what: string,
  { interactive, print }: { interactive: boolean; print: (line: string) => void },
  work: () => Promise<void>,
): Promise<void> {
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 1000);
  if (!interactive) print(`${what} …`);
  let turn = 0;
  const timer = setInterval(
    () => {
      if (interactive) process.stdout.write(`\r\u001b[2K${'⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏'[turn++ % 10]} ${what} … ${seconds()} s`);
      else print(`${what} … ${seconds()} s`);
    },
    interactive ? 100 : 10_000,
  );
  try {
    await work();
  } finally {
    clearInterval(timer);
    if (interactive) process.stdout.write('\r\u001b[2K');
  }
  print(`${what}: done in ${seconds()} s`);
}

/** This machine. */
export function thisSystem(): System {
  let logFile: string | undefined;
  const log = () => (logFile ??= join(mkdtempSync(join(tmpdir(), 'stockmesh-install-')), 'packages.log'));
  return {
    platform: process.platform,
    uid: process.getuid?.() ?? -1,
    osRelease: existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '',
    systemd: existsSync('/run/systemd/system'),
    find: (programs) => findProgram(programs),
    run: ([program, ...args], { terminal = false } = {}) => runLogged(program!, args, terminal, log()),
    ask: async (question) => {
      const terminal = createInterface({ input: process.stdin, output: process.stdout });
      try {
        return await terminal.question(question);
      } finally {
        terminal.close();
      }
    },
    get logFile() {
      return log();
    },
  };
}

function runLogged(program: string, args: readonly string[], terminal: boolean, logFile: string): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: terminal ? 'inherit' : ['ignore', 'pipe', 'pipe'], env: programEnvironment() });
    const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        log.write(text);
      });
    child.once('error', reject);
    child.once('close', (code) => {
      log.end();
      resolve({ code: code ?? 1, output });
    });
  });
}

const usage = `usage: node services/cli/mesh/install.ts [--yes] [--optional] ${needs.join('|')} …`;

/** Installs by name from a script. With `--optional` what cannot be installed is only named: the tests that need it are skipped. */
export async function main(args: readonly string[], options: Omit<InstallOptions, 'need' | 'yes'> = {}): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith('--'));
  const names = args.filter((arg) => !arg.startsWith('--'));
  const wrong = [
    ...flags.filter((flag) => !['--yes', '--optional'].includes(flag)),
    ...names.filter((name) => !needs.includes(name as Need)),
  ];
  const print = options.print ?? console.log;
  try {
    if (wrong.length > 0 || names.length === 0)
      throw new InputError('install.usage', `${wrong.length > 0 ? `unknown: ${wrong.join(' ')}; ` : ''}${usage}`);
    await ensureInstalled({ ...options, print, need: names as Need[], yes: flags.includes('--yes') });
    return 0;
  } catch (error) {
    if (error instanceof InputError) {
      print(messageOf(error));
      return 2;
    }
    if (!(error instanceof ConfigError)) throw error;
    print(messageOf(error));
    if (!flags.includes('--optional')) return 1;
    print(`going on without ${names.join(', ')}: the tests that need it are skipped`);
    return 0;
  }
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
