import type { Connection } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { createAccounts } from '../../sql/accounts.ts';

const passwords = { migrate: "it's", service: 'service-secret', read: 'read-secret' };

async function statements(database: string, hosts?: string[]): Promise<string[]> {
  const sent: string[] = [];
  await createAccounts({ query: async (text: string) => void sent.push(text) } as unknown as Connection, {
    ...{ database, passwords },
    ...(hosts && { hosts }),
  });
  return sent;
}

test('a name with characters that mean something to the server is the name of one schema', async () => {
  // In a GRANT "_" and "%" stand for other characters, and a dot is part of the name everywhere.
  const sent = await statements('stock_mesh.100%`');
  expect(sent[1]).toMatch(/^CREATE DATABASE IF NOT EXISTS `stock_mesh\.100%``` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin$/);
  for (const grant of sent.filter((text) => text.startsWith('GRANT'))) expect(grant).toContain(' ON `stock\\_mesh.100\\%```.* TO ');
});

test('each account is made for each host with its password, and may do its own work alone', async () => {
  const sent = await statements('s', ['localhost', '127.0.0.1']);
  expect(sent.filter((text) => text.startsWith('ALTER USER'))).toEqual(
    ["'stockmesh_migrate'", "'stockmesh'", "'stockmesh_read'"].flatMap((user) =>
      ["'localhost'", "'127.0.0.1'"].map((host) => {
        const password = { "'stockmesh_migrate'": "'it\\'s'", "'stockmesh'": "'service-secret'" }[user] ?? "'read-secret'";
        return `ALTER USER ${user}@${host} IDENTIFIED BY ${password}`;
      }),
    ),
  );
  // Its rights are given by column, after the migrations.
  expect(sent.filter((text) => /^GRANT .*TO 'stockmesh_read'/.test(text))).toEqual([]);
});

test('without hosts the accounts connect from anywhere', async () => {
  expect((await statements('s')).filter((text) => text.startsWith('CREATE USER'))).toHaveLength(3);
  expect((await statements('s'))[2]).toContain("'stockmesh_migrate'@'%'");
});
