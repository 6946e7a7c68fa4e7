/**
 * `npm run install:systemd`: writes the units for this checkout, after showing what it writes. Options: `--to FOLDER` (/etc/systemd/system), `--yes` without asking, `--show`
 * only shows. Exit code 1 when nothing was written.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const HERE = fileURLToPath(new URL('./', import.meta.url));
const CHECKOUT = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');
const SYSTEM = '/etc/systemd/system';

const { values } = parseArgs({
  options: { to: { type: 'string', default: SYSTEM }, yes: { type: 'boolean', default: false }, show: { type: 'boolean', default: false } },
});

/** A path in a unit: a blank would end it, and "%" begins a specifier. */
function unitPath(path: string): string {
  if (/\s|"/.test(path))
    throw new Error(`${path}: systemd units take no blanks or quotes in paths; move the checkout, for example to /opt/stockmesh`);
  return path.replaceAll('%', '%%');
}

const units = readdirSync(HERE)
  .filter((name) => /\.(service|target)$/.test(name))
  .map((name) => ({
    name,
    text: readFileSync(join(HERE, name), 'utf8')
      .replaceAll('@CHECKOUT@', unitPath(CHECKOUT))
      .replaceAll('@NODE@', unitPath(process.execPath)),
  }));

for (const { name, text } of units) process.stdout.write(`──── ${join(values.to, name)}\n${text}\n`);
if (/^\/(home|root)\//.test(CHECKOUT))
  process.stdout.write(
    `Careful: ${CHECKOUT} is in a home folder, which the units cannot see (ProtectHome). Move the checkout to /opt/stockmesh first.\n`,
  );

if (values.show) process.exit(0);
if (!values.yes) {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`Write these ${units.length} files to ${values.to}? [y/N] `);
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) {
    process.stdout.write('nothing was written\n');
    process.exit(1);
  }
}
try {
  for (const { name, text } of units) writeFileSync(join(values.to, name), text, { mode: 0o644 });
} catch (error) {
  if (!(error instanceof Error && 'code' in error)) throw error;
  process.stderr.write(`install:systemd: ${error.message}; run it as root, or name a folder that is there with --to\n`);
  process.exit(1);
}
if (values.to === SYSTEM && existsSync('/run/systemd/system')) execFileSync('systemctl', ['daemon-reload'], { stdio: 'inherit' });
process.stdout.write(
  `${units.length} files written. Before the start: /etc/stockmesh/stockmesh.yaml, and the passwords in /etc/stockmesh/secrets/ (database, mqtt-worker and so on), mode 0600. Then: systemctl enable --now stockmesh.target\n`,
);
