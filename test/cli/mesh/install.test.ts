import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { ensureInstalled, type InstallOptions, main, type Need, type System } from '../../../services/cli/mesh/install.ts';
import { findProgram } from '../../../services/platform/machine/programs.ts';

const debian = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n';
const ubuntu = 'NAME="Ubuntu"\nID=ubuntu\nID_LIKE=debian\n';
const mint = 'NAME="Linux Mint"\nID=linuxmint\nID_LIKE="ubuntu debian"\n';
const fedora = 'ID=fedora\n';

/** As `LC_ALL=C apt-cache policy` prints them. */
const candidate = (name: string) =>
  `${name}:\n  Installed: (none)\n  Candidate: 1:10.11.19\n  Version table:\n     1:10.11.19 500\n        500 http://mirror main\n`;
const noCandidate = (name: string) => `${name}:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n`;
const everything = ['mariadb-server-core', 'mosquitto', 'mosquitto-clients'].map(candidate).join('');

type Answer = { code?: number; output?: string };

/** A machine that is only told of: which programs it has, what its commands answer, and what was run on it. */
function machine(facts: Partial<System> & { has?: string[]; answers?: (command: string) => Answer | undefined; answer?: string } = {}) {
  const has = new Set(facts.has ?? ['sudo']);
  const ran: string[] = [];
  const questions: string[] = [];
  const system: System = {
    platform: 'linux',
    uid: 1000,
    osRelease: debian,
    systemd: false,
    logFile: '/tmp/packages.log',
    find: (programs) => programs.find((name) => has.has(name)),
    run: async (command) => {
      const line = command.join(' ');
      ran.push(line);
      const answer = facts.answers?.(line);
      if (answer === undefined && line.includes('apt-get install'))
        for (const [name, programs] of Object.entries({
          'mariadb-server-core': ['mariadbd'],
          mosquitto: ['mosquitto'],
          'mosquitto-clients': ['mosquitto_sub'],
        }))
          if (command.some((word) => word.startsWith(name))) for (const program of programs) has.add(program);
      return { code: answer?.code ?? 0, output: answer?.output ?? (line.includes('apt-cache') ? everything : '') };
    },
    ask: async (question) => {
      questions.push(question);
      return facts.answer ?? '';
    },
    ...facts,
  };
  const printed: string[] = [];
  const options: Omit<InstallOptions, 'need'> = { system, interactive: false, print: (line) => void printed.push(line) };
  return { system, has, ran, questions, printed, options, changes: () => ran.filter((line) => !line.includes('apt-cache')) };
}

const aptInstall = 'env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=120';
const need: Need[] = ['mariadb'];

describe('nothing is missing', () => {
  test('what is installed is left alone, without a word', async () => {
    const { options, ran, printed } = machine({ has: ['mysqld', 'mosquitto', 'mosquitto_sub'] });
    await ensureInstalled({ need: ['mariadb', 'mosquitto', 'mosquitto-clients'], ...options });
    expect([ran, printed]).toEqual([[], []]);
  });

  test.skipIf(findProgram(['mariadbd', 'mysqld']) === undefined)('on this machine too', () => {
    const script = fileURLToPath(new URL('../../../services/cli/mesh/install.ts', import.meta.url));
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, 'mariadb'], { encoding: 'utf8' });
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  });
});

describe('as root', () => {
  test('it says what and why, then installs without asking and without updating the lists', async () => {
    const { options, ran, questions, printed } = machine({ uid: 0, has: [] });
    await ensureInstalled({ need, ...options });
    expect(printed[0]).toMatch(/mariadb: the database server; .*no system service/);
    expect(ran.slice(1)).toEqual([`${aptInstall} mariadb-server-core`]);
    expect(questions).toEqual([]);
  });

  test('only what is missing is installed, in one go', async () => {
    const { options, changes } = machine({ uid: 0, has: ['mariadbd'], osRelease: mint });
    await ensureInstalled({ need: ['mariadb', 'mosquitto', 'mosquitto-clients'], ...options });
    expect(changes()).toEqual([`${aptInstall} mosquitto mosquitto-clients`]);
  });

  test('empty package lists are updated first', async () => {
    const { options, ran, changes }: ReturnType<typeof machine> = machine({
      uid: 0,
      has: [],
      answers: (line) =>
        line.includes('apt-cache') && !ran.includes('apt-get update') ? { output: noCandidate('mariadb-server-core') } : undefined,
    });
    await ensureInstalled({ need, ...options });
    expect(changes()).toEqual(['apt-get update', `${aptInstall} mariadb-server-core`]);
  });

  test('outdated package lists are updated once, and the installation tried again', async () => {
    let attempts = 0;
    const { options, changes } = machine({
      uid: 0,
      has: [],
      answers: (line) =>
        line.includes('apt-get install') && attempts++ === 0
          ? { code: 100, output: 'E: Failed to fetch http://mirror/m.deb  404  Not Found' }
          : undefined,
    });
    await ensureInstalled({ need, ...options });
    expect(changes()).toEqual([`${aptInstall} mariadb-server-core`, 'apt-get update', `${aptInstall} mariadb-server-core`]);
  });

  test('Ubuntu 22.04 has the package under a name with its version', async () => {
    const { options, changes } = machine({
      uid: 0,
      has: [],
      osRelease: ubuntu,
      answers: (line) => (line.includes('apt-cache') ? { output: candidate('mariadb-server-core-10.6') } : undefined),
    });
    await ensureInstalled({ need, ...options });
    expect(changes()).toEqual([`${aptInstall} mariadb-server-core-10.6`]);
  });

  test('the system service that Debian starts for mosquitto is switched off again', async () => {
    const { options, changes } = machine({ uid: 0, has: [], systemd: true });
    await ensureInstalled({ need: ['mariadb', 'mosquitto'], ...options });
    expect(changes().slice(1)).toEqual(['systemctl disable --now mosquitto.service']);
  });

  test('a failure shows the end of what the package manager said and the command', async () => {
    const { options } = machine({
      uid: 0,
      has: [],
      answers: (line) =>
        line.includes('apt-get install') ? { code: 100, output: `${'noise\n'.repeat(50)}E: You don't have enough free space` } : undefined,
    });
    const error = await ensureInstalled({ need, ...options }).catch((failure: Error) => failure);
    expect(error).toMatchObject({
      code: 'install.failed',
      message: expect.stringMatching(/enough free space[\s\S]*apt-get install --no-install-recommends mariadb-server-core/),
    });
    expect((error as Error).message.split('\n').length).toBeLessThan(20);
  });

  test('a package manager that claims success without the program is not believed', async () => {
    const { options } = machine({ uid: 0, has: [], answers: (line) => (line.includes('apt-get install') ? {} : undefined) });
    await expect(ensureInstalled({ need, ...options })).rejects.toMatchObject({ code: 'install.failed' });
  });

  test('a package that no source has is named', async () => {
    const { options } = machine({ uid: 0, has: [], answers: (line) => (line.includes('apt-cache') ? { output: '' } : undefined) });
    await expect(ensureInstalled({ need, ...options })).rejects.toMatchObject({
      code: 'install.unsupported',
      message: expect.stringContaining('mariadb-server-core'),
    });
  });
});

describe('as an ordinary user', () => {
  const command = 'sudo apt-get install --no-install-recommends mariadb-server-core';

  test('a person at a terminal is asked once, and sudo installs', async () => {
    const { options, changes, questions } = machine();
    await ensureInstalled({ need, ...options, interactive: true });
    expect(questions).toEqual([`Install it now with "${command}"? [Y/n] `]);
    expect(changes()).toEqual(['sudo -v', `sudo ${aptInstall} mariadb-server-core`]);
  });

  test('no means no, with the command for later', async () => {
    const { options, changes } = machine({ answer: 'n' });
    await expect(ensureInstalled({ need, ...options, interactive: true })).rejects.toMatchObject({
      code: 'install.declined',
      message: expect.stringContaining(command),
    });
    expect(changes()).toEqual([]);
  });

  test('--yes asks nothing', async () => {
    const { options, changes, questions } = machine();
    await ensureInstalled({ need, ...options, yes: true });
    expect(questions).toEqual([]);
    expect(changes()).toEqual(['sudo -n true', `sudo -n ${aptInstall} mariadb-server-core`]);
  });

  test.each([
    [
      'sudo wants a password and --yes was given',
      { answers: (line: string) => (line === 'sudo -n true' ? { code: 1 } : undefined) },
      { yes: true },
    ],
    ['nobody is there to be asked', {}, {}],
    ['sudo refuses this user', { answers: (line: string) => (line === 'sudo -v' ? { code: 1 } : undefined) }, { interactive: true }],
  ])('where %s, the one command is named and nothing installed', async (_, facts, given) => {
    const { options, changes } = machine(facts);
    await expect(ensureInstalled({ need, ...options, ...given })).rejects.toMatchObject({
      code: 'install.not_permitted',
      message: expect.stringContaining(command),
    });
    expect(changes().filter((line) => line.includes('apt-get'))).toEqual([]);
  });
});

test('a user without sudo is not told to run it, but what root runs and how to go on without root', async () => {
  const { options, changes } = machine({ has: [] });
  const refused = ensureInstalled({ need: ['mariadb'], ...options, interactive: true });
  await expect(refused).rejects.toMatchObject({
    code: 'install.not_permitted',
    message: expect.stringMatching(
      /^(?!.*sudo apt).*: apt-get install --no-install-recommends mariadb-server-core; .*STOCKMESH_DATABASE_URL=/,
    ),
  });
  expect(changes()).toEqual([]);
});

describe('on another system', () => {
  test.each([
    ['macOS', { platform: 'darwin', osRelease: '' }, 'brew install mariadb mosquitto'],
    ['Fedora', { osRelease: fedora }, 'by hand here: dnf install mariadb-server mosquitto'],
    ['any other', { osRelease: 'ID=void\n' }, 'so that mariadbd, mosquitto, mosquitto_sub can be found in PATH'],
  ] as const)('%s: the one command is named and nothing run', async (_, facts, command) => {
    const { options, ran } = machine({ uid: 0, ...facts });
    await expect(ensureInstalled({ need: ['mariadb', 'mosquitto', 'mosquitto-clients'], ...options })).rejects.toMatchObject({
      code: 'install.unsupported',
      message: expect.stringContaining(command),
    });
    expect(ran).toEqual([]);
  });
});

describe('started by a script', () => {
  test('what cannot be installed is an error, or with --optional a line', async () => {
    const { options, printed } = machine();
    await expect(main(['mariadb'], options)).resolves.toBe(1);
    await expect(main(['--optional', 'mosquitto'], options)).resolves.toBe(0);
    expect(printed.at(-1)).toBe('going on without mosquitto: the tests that need it are skipped');
  });

  test.each([[['redis']], [['--now', 'mariadb']], [[]]])('wrong use %j exits with 2 and names the choices', async (args) => {
    const { options, printed } = machine();
    await expect(main(args, options)).resolves.toBe(2);
    expect(printed).toEqual([expect.stringContaining('mariadb|mosquitto|mosquitto-clients')]);
  });
});
