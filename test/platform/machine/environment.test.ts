import { expect, test } from 'vitest';
import { foreignVariables } from '../../../services/platform/machine/datafolder.ts';
import { databaseServerEnvironment, programEnvironment, workEnvironment } from '../../../services/platform/machine/environment.ts';

const FULL = {
  ...{ PATH: '/bin', HOME: '/home/u', LANG: 'C.UTF-8', LC_ALL: 'C', TZ: 'UTC', HTTPS_PROXY: 'http://proxy', no_proxy: 'localhost' },
  ...{ NODE_OPTIONS: '--x', NODE_EXTRA_CA_CERTS: '/ca.pem', NODE_AUTH_TOKEN: 'npm-secret' },
  ...{
    MYSQL_HOME: '/other',
    MARIADB_HOME: '/other',
    MYSQL_TCP_PORT: '1',
    MYSQL_PWD: 'secret',
    LD_PRELOAD: '/evil.so',
    LD_LIBRARY_PATH: '/lib',
  },
  ...{ STOCKMESH_DATABASE_ROOT_PASSWORD: 'root-secret', STOCKMESH_DATABASE_URL: 'mysql://u:secret@h/s', STOCKMESH_SET: '[]' },
  ...{ ALPHA_VANTAGE_API_KEY: 'secret', MY_DATABASE_PASSWORD: 'secret', AWS_SECRET_ACCESS_KEY: 'secret' },
};

test('a database server gets nothing that it would read as a setting or load, and creates files for its owner alone', () => {
  expect(databaseServerEnvironment(FULL)).toEqual({
    ...{ PATH: '/bin', LANG: 'C.UTF-8', LC_ALL: 'C', TZ: 'UTC', LD_LIBRARY_PATH: '/lib', UMASK: '0600', UMASK_DIR: '0700' },
  });
});

test('a program that is not ours gets what it needs to be found and to reach the network', () => {
  expect(Object.keys(programEnvironment(FULL)).toSorted()).toEqual([
    ...['HOME', 'HTTPS_PROXY', 'LANG', 'LC_ALL', 'LD_LIBRARY_PATH', 'PATH', 'TZ', 'no_proxy'],
  ]);
});

test('a process that is handed its configuration also gets how Node runs, and no secret', () => {
  const given = workEnvironment(FULL);
  expect(given).toMatchObject({ NODE_OPTIONS: '--x', NODE_EXTRA_CA_CERTS: '/ca.pem', PATH: '/bin' });
  expect(JSON.stringify(given)).not.toContain('secret');
});

test('a service needs its own account at the broker and that of services at the database', () => {
  const all = foreignVariables('nothing');
  expect(all).toEqual(
    expect.arrayContaining(['STOCKMESH_DATABASE_ROOT_PASSWORD', 'STOCKMESH_DATABASE_MIGRATE_PASSWORD', 'STOCKMESH_MQTT_HOOK_PASSWORD']),
  );
  expect(all).not.toContain('STOCKMESH_DATABASE_SERVICE_PASSWORD');
  expect(all.filter((name) => !foreignVariables('portfolio-priority').includes(name))).toEqual([
    'STOCKMESH_MQTT_PORTFOLIO_PRIORITY_PASSWORD',
    'STOCKMESH_MQTT_PORTFOLIO_PRIORITY_PASSWORD_FILE',
  ]);
});
