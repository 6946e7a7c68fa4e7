/** What the documents tell a reader to run, run against one mesh: login hooks, commands, HTTP requests, MQTT tools. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../services/platform/machine/ports.ts';
import { stockmesh } from '../cli/command-line.ts';
import { type Block, documentNamed, documents } from './markdown.ts';
import { type DocumentedMesh, startDocumentedMesh } from './mesh.ts';
import { isInstalled, runProgram } from './run.ts';
import { commandsOf, type ShellLine, shellLines, wordsOf } from './shell.ts';

let mesh: DocumentedMesh;
beforeAll(async () => {
  mesh = await startDocumentedMesh();
});
afterAll(() => mesh?.stop());

/** Runs a command over the mesh's data folder and gives its JSON document. */
async function json<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await stockmesh([...args, '--json', '--data', mesh.data]);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as T;
}

describe('login hooks', () => {
  const NAMES: Record<string, string> = { php: 'login-hook.php', python: 'login-hook.py', js: 'login-hook.mjs', sh: 'login-hook.sh' };
  const PROGRAMS: Record<string, string> = { php: 'php', python: 'python3', js: 'node', sh: 'sh' };
  const hooks = documentNamed('docs/hooks.md').blocks.filter(
    ({ language, text }) => PROGRAMS[language] !== undefined && text.includes('login-hook.'),
  );
  let key: string;
  beforeAll(async () => {
    ({ key } = await json<{ key: string }>('key', 'create', '--name', 'login-hook', '--scope', 'login'));
  });

  const needsOf = ({ language, text }: Block): string[] => [
    PROGRAMS[language]!,
    ...['curl', 'mosquitto_pub'].filter((tool) => text.includes(`${tool} `)),
  ];

  test('there is one for PHP, Python, Node, curl and mosquitto_pub', () => {
    expect(hooks.map((hook) => needsOf(hook).at(-1))).toEqual(['php', 'python3', 'node', 'curl', 'mosquitto_pub']);
  });

  for (const [index, hook] of hooks.entries()) {
    const needs = needsOf(hook);
    const missing = needs.filter((program) => !isInstalled(program));
    if (missing.length > 0) console.warn(`skipped: the hook of ${hook.file}:${hook.line}, since ${missing.join(' and ')} is not installed`);
    test.skipIf(missing.length > 0)(
      `${needs.at(-1)}: keeps a login that nobody acknowledges and sends it again with the same moment until it is committed`,
      async () => {
        const folder = mkdtempSync(join(mesh.folder, 'hook-'));
        const spool = join(folder, 'spool');
        const script = join(folder, NAMES[hook.language]!);
        mkdirSync(spool);
        writeFileSync(script, hook.text);
        const call = (http: string, mqtt: number, ...args: string[]) =>
          runProgram(PROGRAMS[hook.language]!, [script, ...args], {
            SPOOL: spool,
            STOCKMESH_URL: http,
            STOCKMESH_KEY: key,
            MQTT_PORT: String(mqtt),
            HOOK_PASSWORD: mesh.secret('mqtt-hook.password'),
          });
        const user = `hook-${index}`;
        const closed = await freePort();
        expect((await call(`http://127.0.0.1:${closed}`, closed, user)).code).not.toBe(0);
        const kept = readdirSync(spool).filter((name) => name.endsWith('.json'));
        expect(kept).toHaveLength(1);
        const { at } = JSON.parse(readFileSync(join(spool, kept[0]!), 'utf8')) as { at: string };

        const second = await call(mesh.url, mesh.mqttPort);
        expect(second.code, second.output).toBe(0);
        expect(readdirSync(spool)).toEqual([]);
        const committed = await mesh.db.rows<{ at: Date }>('SELECT at FROM user_portfolio_priority WHERE user_id = ?', [user]);
        expect(committed.map((row) => row.at.getTime())).toEqual([Date.parse(at)]);
      },
    );

    test.skipIf(missing.length > 0 || hook.text.includes('mosquitto_pub '))(
      `${needs.at(-1)}: a login that is refused for good is set aside and holds none back`,
      async () => {
        const spool = mkdtempSync(join(mesh.folder, 'spool-'));
        const script = join(spool, NAMES[hook.language]!);
        writeFileSync(script, hook.text);
        // In the order in which they are sent.
        const statuses: Record<string, number> = { a: 400, b: 422, c: 202 };
        for (const user of Object.keys(statuses)) writeFileSync(join(spool, `${user}.json`), JSON.stringify({ userId: user }));
        const server = createServer(async (request, response) => {
          const { userId } = JSON.parse(await text(request)) as { userId: string };
          response.writeHead(statuses[userId]!).end();
        });
        await once(server.listen(0, '127.0.0.1'), 'listening');
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        const { code, output } = await runProgram(PROGRAMS[hook.language]!, [script], {
          SPOOL: spool,
          STOCKMESH_URL: url,
          STOCKMESH_KEY: key,
        });
        server.close();
        expect(code, output).toBe(0);
        const left = readdirSync(spool).filter((name) => /\.(json|refused)$/.test(name));
        expect(left.map((name) => name.replace('.json', ''))).toEqual(['a.refused', 'b.refused']);
      },
    );
  }
});

/** Commands that are only read, not run: the help of their verb must know every option. */
const ONLY_READ: Record<string, string> = {
  up: 'does not end',
  service: 'does not end',
  top: 'does not end',
  demo: 'starts a mesh of its own; test/e2e runs it',
  'migrate down': 'takes the tables away under the mesh',
  'notify test': 'needs a mail server; test/cli/operate tries it',
  'notify resume': 'needs an address from which mail came back; test/cli/operate tries it',
  restore: 'needs a database without rows; test/cli/operate tries it',
};

/** Programs that are not run, with the reason. What they name is checked in names.test.ts. */
const NOT_RUN: Record<string, string> = {
  npm: 'tests or measures the whole project; names.test.ts checks the script',
  sudo: 'changes the machine',
  npx: 'runs tests; names.test.ts checks the file',
  docker: 'needs a container engine; "npm run trial:container" does the same without one',
  kubectl: 'needs a cluster; test/deploy/kubernetes reads what it would apply',
  prometheus: 'does not end; test/deploy/grafana runs it',
  sh: 'makes secrets in the checkout; test/deploy/container runs it',
};

/** What stands for `npx stockmesh` in package.json and in the lines for supervisors. */
const SAME_AS: [RegExp, string][] = [
  [/^npm start(?: --)?/, 'npx stockmesh up'],
  [/^npm run demo(?: --)?/, 'npx stockmesh demo'],
  [/^node_modules\/\.bin\/node services\/main\.ts/, 'npx stockmesh'],
];
const asCommand = (text: string): string => SAME_AS.reduce((line, [pattern, same]) => line.replace(pattern, same), text);
const isStockmesh = ({ text }: ShellLine): boolean => /(^|\s)npx stockmesh\b/.test(asCommand(text));
/** A line that names a server of the reader's own is only read too. */
const namesServer = (text: string): boolean => text.includes('db.example');

describe('the command line', () => {
  const variables: Record<string, string> = {};
  beforeAll(async () => {
    writeFileSync(join(mesh.folder, 'site.yaml'), 'job_processor:\n  worker:\n    max_concurrent_jobs: 4\n');
    const jobs = await json<{ jobs: { id: string }[] }>('fetch', 'IBM', '--wait');
    variables.JOB = jobs.jobs[0]!.id;
    await json('rank', 'AAPL', '--wait');
    const ranking = await json<{ ranks: { contract: string }[] }>('ranks', 'AAPL', '--limit', '1');
    variables.CONTRACT = ranking.ranks[0]!.contract;
    variables.PAST = join(mesh.folder, 'past');
    mkdirSync(variables.PAST);
    const chain = ['contract,bid,ask,quoted_at,spot', `${variables.CONTRACT},4,4.2,2026-01-05T20:00:00Z,100`, ''];
    writeFileSync(join(variables.PAST, 'aapl.csv'), chain.join('\n'));
  });

  test.each(shellLines.filter(isStockmesh).map((line) => [line.at, line.text, line] as const))('%s %s', async (_, __, { text }) => {
    for (const words of commandsOf(wordsOf(asCommand(text), { ...variables, FOLDER: mesh.folder }))) {
      const args = words.slice(words.indexOf('stockmesh') + 1);
      const help = await helpOf(args);
      for (const option of args.filter((word) => word.startsWith('--'))) expect(help).toContain(option.split('=')[0]);
      const verb = verbOf(args);
      if (ONLY_READ[verb] !== undefined || namesServer(text)) continue;
      // A file that a line writes or reads stands in the folder of the test, so that it can run again and beside another.
      const files = args.map((word) =>
        /^(site\.yaml|(\/tmp\/)?aapl\.csv|backups\/.*)$/.test(word) ? join(mesh.folder, basename(word)) : word,
      );
      const { code, stderr } = await stockmesh([...files, '--data', mesh.data]);
      expect(code, `${args.join(' ')}: ${stderr}`).toBe(0);
    }
  });

  test('the table of commands in docs/operate.md names every command, and none that does not exist', async () => {
    const { stdout } = await stockmesh(['--help']);
    const verbs = [...stdout.matchAll(/^ {2}([a-z]+)\b/gm)].map(([, verb]) => verb!).filter((verb) => verb !== 'help');
    const named = documentNamed('docs/operate.md')
      .spans.map(({ text }) => /^npx stockmesh ([a-z]+)/.exec(text)?.[1])
      .filter((verb) => verb !== undefined);
    expect([...new Set(named)].toSorted()).toEqual(verbs.toSorted());
  });

  const named = documents.flatMap(({ spans }) => spans).filter(({ text }) => text.startsWith('npx stockmesh '));
  test.each(named.map(({ at, text }) => [at, text]))('%s `%s` is a command with these options', async (_, text) => {
    const args = text!
      .split(/[\s[\]|,…]+/)
      .slice(2)
      .filter((word) => word !== '');
    const help = await helpOf(args);
    for (const option of args.filter((word) => /^--\w/.test(word))) expect(help).toContain(option);
  });
});

/** The verb without the options: `migrate up`, `login`. */
function verbOf(args: readonly string[]): string {
  const words = args.filter(
    (word, index) => !word.startsWith('-') && !['--config', '--env', '--set', '--data'].includes(args[index - 1] ?? ''),
  );
  return ['portfolio', 'position', 'migrate', 'db', 'key', 'config', 'history', 'notify', 'picks'].includes(words[0]!) ||
    words[1] === 'settle'
    ? words.slice(0, 2).join(' ')
    : words[0]!;
}

/** The help of a command line's verb and that of the program, whose options stand before it. */
async function helpOf(args: readonly string[]): Promise<string> {
  const [program, verb] = [await stockmesh(['--help']), await stockmesh([...verbOf(args).split(' '), '--help'])];
  expect(verb.code, verb.stderr).toBe(0);
  expect(verb.stdout).toContain(`stockmesh ${verbOf(args)}`);
  return program.stdout + verb.stdout;
}

describe('other programs', () => {
  const lines = shellLines.filter((line) => !isStockmesh(line));
  const programOf = (text: string): string => text.split(' ')[0]!;
  const isRun = (text: string): boolean => /^(curl|mosquitto_(pub|sub)|[A-Z_]+=)/.test(programOf(text));

  test('each is run, or stands in the list of those that are not', () => {
    expect(
      lines.filter(({ text }) => !isRun(text) && NOT_RUN[programOf(text)] === undefined).map(({ at, text }) => `${at} ${text}`),
    ).toEqual([]);
  });

  const ran = lines.filter(
    // Nobody has a certificate for the reader's own host: test/broker/conformance-tls runs mosquitto_pub with one.
    ({ text, block }) =>
      isRun(text) && !/^[A-Z_]+=\S+"?$|^[A-Z_]+="[^"]*"$/.test(text) && !block.file.startsWith('broker/') && !text.includes(' --cafile '),
  );
  const needed = [...new Set(ran.map(({ text }) => programOf(text)))].filter((program) => !isInstalled(program));
  if (needed.length > 0) console.warn(`skipped: commands of ${needed.join(', ')}, which are not installed`);

  test.each(ran.map((line) => [line.at, line.text, line] as const))('%s %s', async (_, text, { block }) => {
    if (needed.includes(programOf(text))) return;
    const assignments = lines.filter((line) => line.block === block && /^[A-Z_]+=/.test(line.text)).map((line) => line.text);
    const script = [...assignments, text]
      .join('\n')
      .replaceAll('http://127.0.0.1:8787', mesh.url)
      .replaceAll(/\$\(cat data\//g, `$(cat ${mesh.data}/`)
      .replaceAll(/^(mosquitto_\w+)/gm, `$1 -p ${mesh.mqttPort}`)
      .replaceAll(/^mosquitto_sub/gm, 'mosquitto_sub -W 1')
      .replaceAll(/^curl -N/gm, 'curl -N -m 1')
      .replaceAll(/^curl/gm, 'curl -sS --fail-with-body');
    const { code, output } = await runProgram('bash', ['-c', script]);
    // What does not end by itself was ended after a second: mosquitto_sub says 27 then, curl 28.
    const endless = /^mosquitto_sub|^curl -N/.test(text);
    expect(endless ? [0, 27, 28] : [0], output).toContain(code);
    expect(output).not.toMatch(/connection refused|not authori[sz]ed/i);
  });
});

describe('HTTP', () => {
  let paths: Record<string, Record<string, unknown>>;
  beforeAll(async () => {
    paths = ((await (await fetch(`${mesh.url}/openapi.json`)).json()) as { paths: typeof paths }).paths;
  });
  const bare = (path: string): string => path.replaceAll(/\{[^}]*\}/g, '{}');
  const WITHOUT_DESCRIPTION = ['/docs', '/openapi.json'];

  const named = documents
    .flatMap(({ spans, blocks }) => [...spans, ...blocks.map(({ file, line, text }) => ({ at: `${file}:${line}`, text }))])
    .flatMap(({ at, text }) =>
      [
        ...text.matchAll(
          /(?:\b(GET|POST|PUT|DELETE) |(?<![\w./}])|(?<=:8787))(\/(?:v1|functions|jobs|healthz|readyz|metrics|docs|openapi\.json)\b[\w/{}-]*(?:\.json)?)/g,
        ),
      ].map(([, method, path]) => ({ at, method, path: path! })),
    );

  test('there are paths to check', () => {
    expect(named.length).toBeGreaterThan(30);
  });

  test('every path that a document names is one of the API, with that method', () => {
    const unknown = named.filter(({ method, path }) => {
      if (WITHOUT_DESCRIPTION.includes(path)) return false;
      const found = Object.entries(paths).filter(([known]) => fits(path, known));
      return !found.some(([, methods]) => method === undefined || methods[method.toLowerCase()] !== undefined);
    });
    expect(unknown).toEqual([]);
  });

  test('docs/http.md names every path of the API with every method', () => {
    const said = documentNamed('docs/http.md').spans.map(({ text }) => bare(text));
    const all = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${bare(path)}`),
    );
    expect(all.filter((one) => !said.includes(one))).toEqual([]);
  });

  /** `/v1/symbols/AAPL` fits `/v1/symbols/{symbol}`. */
  function fits(path: string, known: string): boolean {
    return bare(path) === bare(known) || new RegExp(`^${known.replaceAll(/\{[^}]*\}/g, '[^/{}]+')}$`).test(path);
  }
});

test('every file of the data folder that a document names is there', () => {
  const files = documents
    .flatMap(({ spans, blocks }) => [...spans, ...blocks.map(({ file, line, text }) => ({ at: `${file}:${line}`, text }))])
    .flatMap(({ at, text }) =>
      [...text.matchAll(/(?<![\w./{])data\/([\w.-]+(?:\/[\w-]+\.\w+)?)/g)].map(([, file]) => ({ at, file: file! })),
    )
    .filter(({ file }) => /\./.test(file));
  expect(files.length).toBeGreaterThan(4);
  const there = new Set(readdirSync(mesh.data, { recursive: true, encoding: 'utf8' }));
  expect(files.filter(({ file }) => !there.has(file))).toEqual([]);
});
