/** Runs the steps of the Dockerfile as an engine would, with folders in place of images and chroot in place of containers. Needs root. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, statSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { ROOT } from '../../docs/markdown.ts';
import { isInContext, type Step, stages } from './dockerfile.ts';

/** How to reach package servers from here, which an engine takes from its own machine too: names, proxies, authorities, and the settings of apt. */
const NAMES = ['/etc/resolv.conf', '/etc/hosts'];
const PROXIES = /^(https?|all|no)_proxy$/i;

export interface Built {
  root: string;
  env: Record<string, string>;
  workdir: string;
  user: string;
  entrypoint: string[];
  healthcheck: string[];
}

/** `base`: the root of a Debian, which stays as it is. Errors: that of the step that failed, with its text. */
export function build(base: string, folder: string, say: (line: string) => void): Built {
  const made = new Map<string, string>();
  let last: Built | undefined;
  for (const [index, stage] of stages().entries()) {
    const root = join(folder, `stage-${index}`);
    execFileSync('cp', ['--archive', base, root]);
    const state: Built = { root, env: {}, workdir: '/', user: 'root', entrypoint: [], healthcheck: [] };
    for (const step of stage.steps) {
      say(`${stage.name || 'image'}: ${step.keyword} ${step.text.replaceAll(/\s+/g, ' ').slice(0, 100)}`);
      perform(step, state, made);
    }
    made.set(stage.name, root);
    last = state;
  }
  return last as Built;
}

function perform(step: Step, state: Built, made: ReadonlyMap<string, string>): void {
  const { keyword, words, text } = step;
  if (keyword === 'WORKDIR') {
    state.workdir = words[0] as string;
    mkdirSync(join(state.root, state.workdir), { recursive: true });
  } else if (keyword === 'RUN') runIn(state, text);
  else if (keyword === 'COPY') copy(step, state, made);
  else if (keyword === 'ENV') Object.assign(state.env, Object.fromEntries(words.map((word) => word.split(/=(.*)/s, 2))));
  else if (keyword === 'USER') state.user = words[0] as string;
  else if (keyword === 'ENTRYPOINT') state.entrypoint = JSON.parse(text) as string[];
  else if (keyword === 'HEALTHCHECK') state.healthcheck = JSON.parse(text.slice(text.indexOf('CMD') + 3)) as string[];
  else if (!['VOLUME', 'EXPOSE', 'CMD'].includes(keyword)) throw new Error(`${keyword} ${text}: a step that is not known here`);
}

function runIn({ root, env, workdir }: Built, text: string): void {
  const given = Object.entries(process.env).filter(([name]) => PROXIES.test(name));
  const authorities = process.env.NODE_EXTRA_CA_CERTS;
  const all = {
    ...{
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/root',
      APT_CONFIG: '/run/apt.conf',
      DEBIAN_FRONTEND: 'noninteractive',
    },
    ...Object.fromEntries(given),
    ...(authorities !== undefined && { NODE_EXTRA_CA_CERTS: '/run/authorities.pem' }),
    ...env,
  };
  const outside = [
    ...NAMES.map((path) => `touch ${root}${path}; mount --bind ${path} ${root}${path}`),
    `mount -t proc proc ${root}/proc`,
    `mount --rbind /dev ${root}/dev`,
    `mount -t tmpfs tmpfs ${root}/run`,
    `apt-config dump Acquire >${root}/run/apt.conf`,
    ...(authorities === undefined ? [] : [`cp ${authorities} ${root}/run/authorities.pem`]),
    `exec chroot ${root} /usr/bin/env --ignore-environment "$@"`,
  ].join('\n');
  const settings = Object.entries(all).map(([name, value]) => `${name}=${value}`);
  const ran = spawnSync(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-e', '-c', outside, 'sh', ...settings, '/bin/sh', '-c', `cd ${workdir} && ${text}`],
    { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  if (ran.status !== 0) throw new Error(`RUN ${text} ended with ${ran.status}:\n${`${ran.stdout}${ran.stderr}`.slice(-3_000)}`);
}

function copy({ words, from }: Step, { root, workdir }: Built, made: ReadonlyMap<string, string>): void {
  const to = join(root, workdir, words.at(-1) as string);
  const isFolder = (words.at(-1) as string).endsWith('/') || words.at(-1) === '.' || words.at(-1) === './';
  if (isFolder) mkdirSync(to, { recursive: true });
  for (const word of words.slice(0, -1)) {
    const source = from === undefined ? join(ROOT, word) : join(made.get(from) as string, word);
    // The content of a folder, but a file as itself.
    const target = isFolder && !statSync(source).isDirectory() ? join(to, basename(word)) : to;
    if (statSync(source).isDirectory() && from !== undefined) {
      // As `cp`, which keeps the links of node_modules/.bin.
      execFileSync('cp', ['--archive', `${source}/.`, target]);
      continue;
    }
    cpSync(source, target, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => statSync(path).isDirectory() || isInContext(relative(ROOT, path)),
    });
  }
}
