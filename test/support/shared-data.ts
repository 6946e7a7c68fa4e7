/** Real market data beside the project, in `../shared/data`. What needs it is skipped, with a message, where it is absent. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, test } from 'vitest';

const FOLDER = resolve(import.meta.dirname, '../../../shared/data');

/** A file or folder of `../shared/data`, absolute. */
export const sharedData = (path: string): string => resolve(FOLDER, path);

export const hasSharedData = (path: string): boolean => existsSync(sharedData(path));

/**
 * A suite that reads `../shared/data/<path>`. Vitest runs the body of a skipped suite too, to collect its tests, and a body that reads a missing file fails the
 * run: so where the data is absent the suite is one skipped test that says what it needs.
 */
export function describeWithData(path: string, title: string, body: () => void): void {
  if (hasSharedData(path)) describe(title, body);
  else describe(title, () => test.skip(`needs ../shared/data/${path}`, () => undefined));
}
