/** The objects of the test server on the disk, so that it can be killed and started again. A body is a file of its own; what is known of it is renamed into place. */
import { createHash, randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface S3Object {
  key: string;
  /** Of the body, in the folder. */
  file: string;
  bytes: number;
  etag: string;
  sha256: string;
  /** `x-amz-meta-…` headers and the content type. */
  headers: Record<string, string>;
  modified: string;
}

export class ObjectsOnDisk {
  readonly folder: string;
  readonly #objects = new Map<string, S3Object>();

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    for (const name of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
      const object = JSON.parse(readFileSync(join(folder, name), 'utf8')) as S3Object;
      this.#objects.set(object.key, object);
    }
  }

  get(key: string): S3Object | undefined {
    return this.#objects.get(key);
  }

  /** In the order of the keys' bytes. */
  startingWith(prefix: string): S3Object[] {
    return [...this.#objects.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
  }

  newBody(): string {
    return join(this.folder, `${randomUUID()}.body`);
  }

  put(object: S3Object): void {
    const replaced = this.#objects.get(object.key);
    const file = this.#fileOf(object.key);
    writeFileSync(`${file}.new`, JSON.stringify(object));
    renameSync(`${file}.new`, file);
    this.#objects.set(object.key, object);
    // Who reads the replaced body has it open.
    if (replaced !== undefined) rmSync(replaced.file, { force: true });
  }

  delete(key: string): void {
    const object = this.#objects.get(key);
    if (object === undefined) return;
    rmSync(this.#fileOf(key), { force: true });
    this.#objects.delete(key);
    rmSync(object.file, { force: true });
  }

  #fileOf(key: string): string {
    return join(this.folder, `${createHash('sha256').update(key).digest('hex')}.json`);
  }
}
