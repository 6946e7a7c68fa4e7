/** Asks as a worker's process does, to be killed. Arguments: database, server, intent, and when it stands still (`reserved`: before it sends). */
import { ask } from '../../services/model/ask.ts';
import { openDatabase } from '../../services/platform/database/database.ts';
import { asking, intent, prompt } from './parts.ts';

const [options = '', url = '', key = '', when = ''] = process.argv.slice(2);
const db = openDatabase(JSON.parse(options));
const stands = {
  ...db,
  async run(sql: string, params?: readonly unknown[]) {
    if (when === 'reserved' && sql.includes("state = 'sent'")) {
      process.send?.('reserved');
      await new Promise(() => {});
    }
    return db.run(sql, params);
  },
};
await ask(asking(stands, url, { timeout: 1 }), intent({ key }), prompt, new AbortController().signal);
