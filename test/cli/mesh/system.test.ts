/** What an installation tells the person meanwhile, and the machine itself. */
import { readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ensureInstalled, main, type System, thisSystem } from '../../../services/cli/mesh/install.ts';

const POLICY = ['mariadb-server-core', 'mosquitto', 'mosquitto-clients']
  .map((name) => `${name}:\n  Installed: (none)\n  Candidate: 1\n`)
  .join('');
type Answer = { code?: number; output?: string };

/** A Debian that has `has`; `answers` are those of its commands. After a good installation all is there. */
function debian({
  has = ['sudo'],
  answers = () => undefined,
  ...facts
}: Partial<System> & { has?: string[]; answers?: (command: string) => Answer | undefined } = {}) {
  const ran: string[] = [];
  const terminals: string[] = [];
  const printed: string[] = [];
  let installed = false;
  const system: System = {
    ...{ platform: 'linux', uid: 0, osRelease: 'ID=debian\n', systemd: false, logFile: '/tmp/packages.log' },
    find: (programs) => (installed ? programs[0] : programs.find((name) => has.includes(name))),
    run: async (command, options) => {
      const line = command.join(' ').replace(/^(.*)env .*(apt-get install|apt-cache policy).*?((?: m[\w.-]+)*)$/, '$1$2$3');
      ran.push(line);
      if (options?.terminal) terminals.push(line);
      const answer = answers(line);
      if (line.includes('apt-get install') && (answer?.code ?? 0) === 0) installed = true;
      return { code: answer?.code ?? 0, output: answer?.output ?? (line.includes('apt-cache') ? POLICY : '') };
    },
    ask: async () => '',
    ...facts,
  };
  return { options: { system, interactive: false, print: (line: string) => void printed.push(line) }, ran, terminals, printed };
}

describe('what is said', () => {
  test('without a terminal is what is missing, what is begun and how long it took', async () => {
    const { options, printed } = debian();
    await ensureInstalled({ need: ['mariadb', 'mosquitto'], ...options });
    expect(printed).toEqual([
      'missing: mariadb: the database server; it runs privately out of the data folder, no system service is started',
      expect.stringMatching(/^missing: mosquitto: a second MQTT broker/),
      'installing mariadb, mosquitto …',
      'installing mariadb, mosquitto: done in 0 s',
    ]);
  });

  test('is said again every ten seconds, and no more when it has ended', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const { options, printed } = debian({
      answers: (line) => {
        if (line.includes('apt-get install')) vi.advanceTimersByTime(21_000);
        return undefined;
      },
    });
    await ensureInstalled({ need: ['mariadb'], ...options });
    vi.advanceTimersByTime(60_000);
    expect(printed.slice(1)).toEqual([
      'installing mariadb …',
      'installing mariadb … 10 s',
      'installing mariadb … 20 s',
      'installing mariadb: done in 21 s',
    ]);
  });

  test('on a terminal is a line that is redrawn and removed', async () => {
    vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] });
    const written: string[] = [];
    const spy = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
    onTestFinished(() => {
      vi.useRealTimers();
      spy.mockRestore();
    });
    const { options, printed } = debian({
      answers: (line) => {
        if (line.includes('apt-get install')) vi.advanceTimersByTime(1_100);
        return undefined;
      },
    });
    await ensureInstalled({ need: ['mariadb'], ...options, interactive: true });
    expect(written).toHaveLength(12);
    expect(written.slice(0, 2)).toEqual(['\r\x1b[2K⠋ installing mariadb … 0 s', '\r\x1b[2K⠙ installing mariadb … 0 s']);
    expect(written.slice(-3)).toEqual(['\r\x1b[2K⠏ installing mariadb … 1 s', '\r\x1b[2K⠋ installing mariadb … 1 s', '\r\x1b[2K']);
    expect(printed.slice(1)).toEqual(['installing mariadb: done in 1 s']);
  });

  test('of a failure are its last fifteen lines and the way to see all', async () => {
    const output = `${Array.from({ length: 20 }, (_, line) => `line ${line}`).join('\n')}\n`;
    const { options } = debian({ answers: (line) => (line.includes('apt-get install') ? { code: 100, output } : undefined) });
    const error = (await ensureInstalled({ need: ['mariadb'], ...options }).catch((thrown: unknown) => thrown)) as Error;
    expect(error.message.split('\n')).toEqual([
      'the installation failed; the end of /tmp/packages.log:',
      ...Array.from({ length: 15 }, (_, line) => `line ${line + 5}`),
      'To see all of it, run: apt-get install --no-install-recommends mariadb-server-core',
    ]);
  });
});

describe('what is run', () => {
  test('lists that cannot be updated are a failure', async () => {
    const { options, ran } = debian({
      answers: (line) =>
        line.includes('apt-cache') ? { output: '' } : line.includes('update') ? { code: 100, output: 'no network' } : undefined,
    });
    await expect(ensureInstalled({ need: ['mariadb'], ...options })).rejects.toThrow('no network');
    expect(ran.filter((line) => line.includes('install'))).toEqual([]);
  });

  test('an installation that fails for another reason than old lists is not tried again', async () => {
    const { options, ran } = debian({
      answers: (line) => (line.includes('apt-get install') ? { code: 100, output: 'no space' } : undefined),
    });
    await expect(ensureInstalled({ need: ['mariadb'], ...options })).rejects.toThrow('no space');
    expect(ran).toEqual([expect.stringContaining('apt-cache'), 'apt-get install mariadb-server-core']);
  });

  test('lists that were updated a moment ago are not updated again', async () => {
    let asked = 0;
    const { options, ran } = debian({
      answers: (line) => {
        if (line.includes('apt-cache')) return { output: asked++ === 0 ? '' : POLICY };
        return line.includes('apt-get install') ? { code: 100, output: '404  Not Found' } : undefined;
      },
    });
    await expect(ensureInstalled({ need: ['mariadb'], ...options })).rejects.toThrow('404');
    expect(ran.filter((line) => line === 'apt-get update')).toHaveLength(1);
  });

  test.each([
    [true, ['systemctl disable --now mosquitto.service']],
    [false, []],
  ])('the service of Debian is switched off where there is systemd (%s)', async (systemd, commands) => {
    const { options, ran } = debian({ systemd });
    await ensureInstalled({ need: ['mosquitto', 'mosquitto-clients'], ...options });
    expect(ran.filter((line) => line.includes('systemctl'))).toEqual(commands);
  });

  test.each([
    ['', true],
    ['y', true],
    [' YES ', true],
    ['n', false],
    ['yes please', false],
  ])('the answer %j allows it: %s; the password is asked for on the terminal', async (answer, allowed) => {
    const { options, ran, terminals } = debian({ uid: 1000, ask: async () => answer });
    const outcome = await ensureInstalled({ need: ['mariadb'], ...options, interactive: true }).then(
      () => true,
      (error: { code: string }) => error.code,
    );
    expect(outcome).toBe(allowed ? true : 'install.declined');
    expect(terminals).toEqual(allowed ? ['sudo -v'] : []);
    expect(ran.some((line) => line.includes('sudo apt-get install'))).toBe(allowed);
  });

  test.each([
    [{ uid: 1000, has: ['sudo'] }, 'sudo dnf install mosquitto'],
    [{ uid: 1000, has: [] }, 'here: dnf install mosquitto'],
    [{ uid: 0, has: ['sudo'] }, 'here: dnf install mosquitto'],
  ])('on Fedora %j runs "%s"', async (facts, text) => {
    const { options } = debian({ osRelease: 'ID=fedora\n', ...facts });
    await expect(ensureInstalled({ need: ['mosquitto', 'mosquitto-clients'], ...options })).rejects.toThrow(text);
  });

  test('a user without root and sudo is told of a database elsewhere only where a database is missing', async () => {
    const refusal = (need: 'mariadb' | 'mosquitto') =>
      ensureInstalled({ need: [need], ...debian({ uid: 1000, has: [] }).options }).catch(String);
    expect(await refusal('mariadb')).toContain('STOCKMESH_DATABASE_URL=');
    expect(await refusal('mosquitto')).toMatch(/run this once: apt-get install --no-install-recommends mosquitto$/);
  });
});

describe('as a script', () => {
  test('--yes asks sudo not to ask, and what was installed ends with 0', async () => {
    const { options, ran } = debian({ uid: 1000 });
    expect(await main(['--yes', 'mariadb'], options)).toBe(0);
    expect(ran).toContain('sudo -n true');
  });

  test('wrong words are named, and an error that is none of the installation goes on', async () => {
    const { options, printed } = debian();
    expect(await main(['redis', '--now', 'mariadb'], options)).toBe(2);
    expect(printed[0]).toMatch(/^unknown: --now redis; usage: node services\/cli\/mesh\/install\.ts \[--yes\] \[--optional\] mariadb\|/);
    expect(await main([], options)).toBe(2);
    expect(printed[1]).toMatch(/^usage: /);
    const broken = debian({
      find: () => {
        throw new TypeError('a defect');
      },
    });
    await expect(main(['mariadb'], broken.options)).rejects.toThrow('a defect');
  });
});

describe('this machine', () => {
  test('runs a program to its end, with its output and code, and keeps all output in one file', async () => {
    const system = thisSystem();
    expect(await system.run(['sh', '-c', 'echo one; echo two >&2; exit 3'])).toEqual({
      code: 3,
      output: expect.stringMatching(/^(one\ntwo\n|two\none\n)$/),
    });
    expect(await system.run(['sh', '-c', 'kill -9 $$'])).toEqual({ code: 1, output: '' });
    await system.run(['echo', 'three']);
    await expect.poll(() => readFileSync(system.logFile, 'utf8')).toMatch(/one[\s\S]*three\n$/);
    await expect(system.run(['/no/such/program'])).rejects.toThrow('ENOENT');
  });

  test('knows what it is and what it has', () => {
    const system = thisSystem();
    expect(system).toMatchObject({ platform: process.platform, uid: process.getuid!() });
    expect([system.find(['sh']), system.find(['no-such-program'])]).toEqual([expect.stringMatching(/\/sh$/), undefined]);
  });
});
