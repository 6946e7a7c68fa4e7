/** Files to store. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A folder of the test file, which is deleted after it. */
export function folderOfTest(): string {
  const folder = mkdtempSync(join(tmpdir(), 'stockmesh-objects-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface Sample {
  path: string;
  content: Buffer;
  /** As `put` wants it. */
  digest: { bytes: number; sha256: string };
}

/** A file of random bytes. */
export function sampleFile(folder: string, name: string, bytes: number): Sample {
  const content = randomBytes(bytes);
  const path = join(folder, name);
  writeFileSync(path, content);
  return { path, content, digest: { bytes, sha256: hashOf(content) } };
}

export function hashOf(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}

/** All files below a folder, as paths in it, sorted. */
export function filesIn(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
