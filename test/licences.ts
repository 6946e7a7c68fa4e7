/**
 * The licences of all packages that the lock names, run by `npm run check` without any network: what is shipped may be used, changed and passed on under conditions that a
 * company takes without asking; what is only used to develop may also oblige whoever changes it. Ends with 1 and the list of the others.
 */
import { readFileSync } from 'node:fs';

/** SPDX identifiers. */
const SHIPPED = new Set([
  '0BSD',
  'AFL-2.1',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'ISC',
  'MIT',
  'MIT-0',
  'PSF-2.0',
  'Python-2.0',
  'Unlicense',
]);
const DEVELOPMENT = new Set([...SHIPPED, 'CC0-1.0', 'CC-BY-3.0', 'CC-BY-4.0', 'MPL-2.0']);

/**
 * Shipped under a licence that obliges whoever changes the files of the package, and nobody who only uses it. lightningcss shortens the styles when the dashboard is built on
 * the machine of a user; nothing of it stands in what a browser gets.
 */
const AGREED: Readonly<Record<string, RegExp>> = { 'MPL-2.0': /(^|\/)node_modules\/lightningcss(-[a-z0-9-]+)?$/ };

export interface LockedPackage {
  license?: string;
  dev?: boolean;
  link?: boolean;
}

/** The packages of a lock whose licence is none of these, one line of text each. `packages` as npm writes it; '' is the project itself. */
export function unfitLicences(packages: Readonly<Record<string, LockedPackage>>): string[] {
  return Object.entries(packages)
    .filter(
      ([path, { license, dev, link }]) =>
        path !== '' && !link && !isFit(license ?? '', dev ? DEVELOPMENT : SHIPPED) && !AGREED[license ?? '']?.test(path),
    )
    .map(
      ([path, { license, dev }]) =>
        `${path.replace(/^node_modules\//, '')}: ${license ?? 'no licence'}${dev ? ', to develop' : ', shipped'}`,
    );
}

/** Of an SPDX expression such as `(MIT OR Apache-2.0)`. One of those joined by OR is enough; those joined by AND count all. */
function isFit(expression: string, allowed: ReadonlySet<string>): boolean {
  return expression
    .replaceAll(/[()]/g, '')
    .split(' OR ')
    .some((one) => one.split(' AND ').every((licence) => allowed.has(licence.trim())));
}

if (import.meta.main) {
  const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
    packages: Record<string, LockedPackage>;
  };
  const unfit = unfitLicences(lock.packages);
  if (unfit.length > 0) {
    console.error(`${unfit.join('\n')}\nTake another package, or agree on the licence and add it to the list of test/licences.ts.`);
    process.exitCode = 1;
  }
}
