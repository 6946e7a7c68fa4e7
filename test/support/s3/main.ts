/** The test server as a process of its own: `node test/support/s3/main.ts FOLDER [PORT]`. Prints its address once it listens; what it keeps outlives it. */
import { startS3Server } from './server.ts';

const [folder, port = '0'] = process.argv.slice(2);
if (folder === undefined) throw new Error('name a folder');
const { url } = await startS3Server({ folder, port: Number(port) });
console.log(url);
