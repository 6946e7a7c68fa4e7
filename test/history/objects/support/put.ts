/**
 * Puts files into a folder, as a process that can be killed: `node put.ts FOLDER KEY ROUNDS FILE…`. Prints `put` before each put, and the error of one that fails.
 */
import { folderStore } from '../../../../services/history/objects/folder.ts';
import { digestOf } from '../../../../services/history/objects/keys.ts';

const [folder, key, rounds, ...files] = process.argv.slice(2) as [string, string, string, ...string[]];
const store = folderStore({ folder, isPrivate: true });
const { signal } = new AbortController();
const digests = await Promise.all(files.map(async (file) => ({ file, digest: await digestOf(file, signal) })));
for (let round = 0; round < Number(rounds); round++) {
  for (const { file, digest } of digests) {
    process.stdout.write('put\n');
    await store.put(key, file, digest, signal).catch((error) => {
      console.log(JSON.stringify({ name: error.name, code: error.code, message: error.message }));
    });
  }
}
