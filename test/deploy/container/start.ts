/** The second part of the trial, in namespaces of its own: starts what compose.yaml names from the folder that stands for the image, and looks at it. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import mysql from 'mysql2/promise';
import { asRoot, createSystemTables, identify } from '../../../sql/system-tables.ts';
import { ROOT } from '../../docs/markdown.ts';
import type { Built } from './build.ts';
import { type ComposeService, compose } from './compose.ts';

const [folder = '', json = ''] = process.argv.slice(2);
const image = JSON.parse(json) as Built;
const CONTAINER = join(ROOT, 'deploy/container');
const secrets = join(folder, 'secrets');
const ROOT_ACCOUNT = { user: 'root', socketPath: join(folder, 'mariadb/socket') };
const say = (line: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
const sh = (command: string): string => execFileSync('bash', ['-e', '-o', 'pipefail', '-c', command], { encoding: 'utf8' });

function assert(holds: boolean, what: string): void {
  if (!holds) throw new Error(`not so: ${what}`);
  say(`ok: ${what}`);
}

/** Tries again for two minutes. */
async function until(what: string, look: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 120_000; performance.now() < end; await delay(500))
    if (await look()) {
      say(`ok: ${what}`);
      return;
    }
  throw new Error(`not within two minutes: ${what}`);
}

/** As an engine starts a container: its own mounts, a read-only root, the image's user without rights. */
function inImage(
  name: string,
  command: readonly string[],
  { environment = {}, secrets: names = [], volumes = [] }: Partial<ComposeService>,
) {
  const { root, user } = image;
  const [uid = '', gid = ''] = user.split(':');
  const volume = volumes.find((one) => one.endsWith(':/var/lib/stockmesh'))?.split(':')[0] ?? `none-${name}`;
  const data = join(folder, 'volumes', volume);
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const outside = [
    `chown ${uid}:${gid} ${data}; chmod 700 ${data}`,
    `mount --bind ${root} ${root}`,
    `mount -t tmpfs tmpfs ${root}/tmp`,
    `mount -t tmpfs tmpfs ${root}/run`,
    `mkdir ${root}/run/secrets`,
    ...names.map((one) => `cp --preserve=mode ${secrets}/${one} ${root}/run/secrets/${one}`),
    `touch ${root}/etc/hosts; mount --bind ${join(folder, 'hosts')} ${root}/etc/hosts`,
    `mount --bind ${data} ${root}/var/lib/stockmesh`,
    `mount -t proc proc ${root}/proc`,
    `mount --bind /dev ${root}/dev`,
    `mount -o remount,bind,ro ${root}`,
    `exec chroot ${root} setpriv --reuid ${uid} --regid ${gid} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all env -i "$@"`,
  ].join('\n');
  const settings = Object.entries({ PATH: '/usr/bin:/bin', ...image.env, ...environment }).map(([key, value]) => `${key}=${value}`);
  return [
    '--mount',
    '--propagation',
    'private',
    'sh',
    '-e',
    '-c',
    outside,
    'sh',
    ...settings,
    'sh',
    '-c',
    `cd ${image.workdir} && exec "$@"`,
    'sh',
    ...command,
  ];
}

function runIn(name: string, command: readonly string[], service: Partial<ComposeService>) {
  const { status, stdout, stderr } = spawnSync('unshare', inImage(name, command, service), { encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

async function startDatabase(): Promise<void> {
  const data = join(folder, 'mariadb');
  await createSystemTables(await identify('mariadbd'), data);
  const settings = [`--datadir=${data}`, `--socket=${data}/socket`, '--port=3306', '--skip-name-resolve', `--pid-file=${data}/pid`];
  spawn('mariadbd', ['--no-defaults', ...asRoot, ...settings], { stdio: 'ignore' });
}

/** accounts.sh, as the entry point of the image mariadb reads it. */
async function makeAccounts(): Promise<void> {
  const text = sh(`docker_process_sql() { cat; }; SECRETS=${secrets}; . ${CONTAINER}/accounts.sh`);
  const root = await mysql.createConnection({ ...ROOT_ACCOUNT, multipleStatements: true });
  await root.query(text);
  await root.end();
}

async function databaseAnswers(): Promise<boolean> {
  try {
    await (await mysql.createConnection(ROOT_ACCOUNT)).end();
    return true;
  } catch {
    return false;
  }
}

function startBroker(): void {
  const here = join(folder, 'broker');
  mkdirSync(here, { recursive: true });
  for (const file of ['mosquitto.conf', 'access.acl']) cpSync(join(ROOT, 'broker/mosquitto', file), join(here, file));
  cpSync(join(CONTAINER, 'broker.sh'), join(here, 'broker.sh'));
  cpSync(secrets, join(here, 'secrets'), { recursive: true });
  mkdirSync(join(here, 'data'));
  sh(`chown -R 65534:65534 ${here}`);
  spawn('setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', 'sh', join(here, 'broker.sh')], {
    env: {
      PATH: process.env.PATH,
      TMPDIR: join(here, 'data'),
      STOCKMESH_BROKER: here,
      SECRETS: join(here, 'secrets'),
      DATA: join(here, 'data'),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

const answers = async (port: number, path: string): Promise<string> => {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    return answer.ok ? await answer.text() : '';
  } catch {
    return '';
  }
};

const PORTS: Readonly<Record<string, number>> = {
  gateway: 8787,
  scheduler: 9464,
  'portfolio-priority': 9470,
  worker: 9490,
  notifier: 9510,
};

async function main(): Promise<void> {
  sh('ip link set lo up');
  // /proc of these processes alone.
  sh('mount -t proc proc /proc');
  execFileSync('sh', [join(CONTAINER, 'secrets.sh'), secrets]);
  writeFileSync(join(folder, 'hosts'), '127.0.0.1 localhost database broker\n');
  await startDatabase();
  sh(`chmod 711 ${folder}`);
  startBroker();
  await until('the database runs', databaseAnswers);
  await makeAccounts();

  const { services } = compose();
  const migrate = services.migrate as ComposeService;
  const migrated = runIn('migrate', [...image.entrypoint, ...(migrate.command ?? [])], migrate);
  assert(migrated.status === 0, `migrate up in the image ends with 0: ${migrated.output.trim().split('\n').at(-1)}`);

  const running = new Map<string, ChildProcess>();
  const said = new Map<string, string>();
  for (const name of Object.keys(PORTS)) {
    const service = services[name] as ComposeService;
    const child = spawn('unshare', inImage(name, [...image.entrypoint, ...(service.command ?? [])], service), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (text) => said.set(name, `${said.get(name) ?? ''}${text}`.slice(-4_000)));
    running.set(name, child);
  }
  try {
    for (const [name, port] of Object.entries(PORTS))
      await until(`${name} answers /healthz`, async () => (await answers(port, '/healthz')) !== '');
    // More than once, as an engine does.
    await until('the health check of the image ends with 0', () => {
      const { status, output } = runIn('health', image.healthcheck, {});
      if (status !== 0) say(`not yet: ${output}`);
      return status === 0;
    });
    for (const [name, child] of running) {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      assert(
        /^Uid:\t10001\t10001/m.test(status) && /^CapBnd:\t0+$/m.test(status) && /^NoNewPrivs:\t1$/m.test(status),
        `${name} runs as 10001, without rights`,
      );
    }
    const written = runIn('write', ['sh', '-c', 'touch /opt/stockmesh/x /etc/x /x; touch /tmp/x /var/lib/stockmesh/x && echo only'], {});
    assert(
      written.output.match(/Read-only file system/g)?.length === 3 && written.output.includes('only'),
      'the root is read-only, /tmp and the data folder are not',
    );

    const cli = {
      environment: { STOCKMESH_DATABASE_PASSWORD_FILE: '/run/secrets/database', STOCKMESH_MQTT_CLI_PASSWORD_FILE: '/run/secrets/mqtt-cli' },
      secrets: ['database', 'mqtt-cli'],
    };
    const run = (...args: string[]) => runIn('cli', [...image.entrypoint, ...args], cli);
    const imported = run('portfolio', 'import', 'config/demo-portfolios.csv');
    assert(imported.status === 0, `a command in the image: ${imported.output.trim().split('\n')[0]}`);
    const key = JSON.parse(run('key', 'create', '--name', 'trial', '--scope', 'login', '--json').output) as { key: string };
    const login = await fetch('http://127.0.0.1:8787/v1/events/login', {
      method: 'POST',
      headers: { authorization: `Bearer ${key.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ userId: 'alice' }),
    });
    assert(login.status === 202, 'a login over HTTP is taken');
    await until('a worker does its jobs', async () =>
      /^stockmesh_job_attempts_total\{type="fetch".*\} [1-9]/m.test(await answers(9490, '/metrics')),
    );
    for (const [name, child] of running) {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      assert(child.exitCode === 0, `${name} ends with 0 on SIGTERM`);
    }
    assert(readdirSync(join(folder, 'volumes/portfolio-priority')).length > 0, 'the data folder of portfolio-priority is kept');
  } catch (error) {
    for (const [name, text] of said) console.error(`--- ${name}:\n${text}`);
    throw error;
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
