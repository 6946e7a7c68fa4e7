/**
 * `npm run trial:container`: the image and the compose file without a container engine. A Debian made by debootstrap stands for the base image; each step of the Dockerfile runs
 * in it. What they made is started as compose.yaml says, over the MariaDB and the Mosquitto of this machine, in a network of its own: as the image's user, without rights, on a
 * read-only root. Needs root, Linux and some 4 GB in the folder for temporary files; ends with 1 and says what is missing elsewhere.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../../services/platform/machine/programs.ts';
import { build } from './build.ts';
import { stages } from './dockerfile.ts';

const NEEDED = ['debootstrap', 'unshare', 'chroot', 'setpriv', 'ip', 'mount', 'mosquitto', 'mosquitto_passwd', 'mariadbd', 'bash'];
const missing = NEEDED.filter((program) => findProgram([program]) === undefined);

if (process.getuid?.() !== 0 || missing.length > 0) {
  console.error(
    `not tried: this trial needs root${missing.length > 0 ? ` and ${missing.join(', ')}` : ''} (Debian: debootstrap, util-linux, iproute2, mosquitto, mariadb-server)`,
  );
  process.exit(1);
}

const say = (line: string): void => console.log(`${new Date().toISOString().slice(11, 19)} ${line}`);
const folder = mkdtempSync(join(tmpdir(), 'stockmesh-image-'));
/** A Debian that an earlier trial has left: `STOCKMESH_TRIAL_BASE=FOLDER`. */
const kept = process.env.STOCKMESH_TRIAL_BASE;
const base = kept ?? join(folder, 'base');
let code = 1;
try {
  const release = /^debian:(\w+)-slim$/.exec(stages()[0]?.base ?? '')?.[1] as string;
  if (!existsSync(join(base, 'etc/debian_version'))) {
    say(`debootstrap ${release}`);
    execFileSync('debootstrap', ['--variant=minbase', release, base], { stdio: ['ignore', 'ignore', 'inherit'] });
  }
  const image = build(base, folder, say);
  const size = execFileSync('du', ['--summarize', '--block-size=M', image.root], { encoding: 'utf8' }).split('\t')[0];
  say(`the image has ${size}`);
  // The part in a network of its own ends with all that it started.
  const ran = spawnSync(
    'unshare',
    [
      '--net',
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      process.execPath,
      join(import.meta.dirname, 'start.ts'),
      folder,
      JSON.stringify(image),
    ],
    { stdio: 'inherit' },
  );
  code = ran.status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
say(code === 0 ? 'passed' : 'failed');
process.exitCode = code;
