/** A TCP proxy in front of a database server, with which a test makes the faults of servers and networks. It reads MySQL's protocol as far as it must. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface DatabaseProxy {
  readonly host: '127.0.0.1';
  readonly port: number;
  /** Connections that are open. */
  readonly open: number;
  /** Connections ever made. */
  readonly made: number;
  /** How many statements `refuse`, `loseAnswer` and `cutAt` have met so far. */
  readonly met: number;
  /** The next statements that match get this error of the server, and are not sent. `times`: 1 by default. */
  refuse(errno: number, pattern: RegExp, times?: number): void;
  /** Forgets what `refuse`, `loseAnswer` and `cutAt` were told. */
  clear(): void;
  /** The next statement that matches is sent, and its connection cut when the server answers. */
  loseAnswer(pattern: RegExp): void;
  /** The next statement that matches cuts its connection, and is not sent. */
  cutAt(pattern: RegExp): void;
  /** Statements larger than this cut their connection, as a server or proxy with a limit of its own does. */
  mostBytes: number;
  /** The network swallows everything, on connections that are open and on new ones, until `flow`. */
  stall(): void;
  /** What comes from now on is forwarded again. `thaw`: what was swallowed, too, as after SIGCONT of a frozen server. */
  flow(options?: { thaw: boolean }): void;
  /** The connections that are open are swallowed for ever, as by a firewall that forgot them; new ones work. */
  strand(): void;
  /** Resets all connections and refuses new ones, as when the server's process dies, until `listen`. */
  die(): Promise<void>;
  /** Refuses new connections until `listen`; those that are open go on. */
  refuseConnections(): void;
  listen(): Promise<void>;
  close(): Promise<void>;
}

type Rule = { pattern: RegExp; times: number } & ({ kind: 'refuse'; errno: number } | { kind: 'lose' | 'cut' });
/** By TCP, as the client reaches the proxy: a password that a server takes over its socket alone is refused otherwise (MySQL's `caching_sha2_password`). */
interface Server {
  port: number;
}

/** Starts a proxy on a free port of the loopback. */
export async function startDatabaseProxy(to: Server): Promise<DatabaseProxy> {
  const rules: Rule[] = [];
  const clients = new Set<Socket>();
  /** What was swallowed, in order. */
  const held: (() => void)[] = [];
  const counts = { made: 0, met: 0 };
  let stalled = false;
  let port = 0;

  const stranded = new WeakSet<Socket>();
  const forward = (client: Socket, target: Socket, bytes: Buffer): void => {
    const write = (): void => void (target.destroyed || target.write(bytes));
    if (stranded.has(client)) return;
    if (stalled) held.push(write);
    else write();
  };

  function ruleFor(text: string): Rule | undefined {
    const rule = rules.find(({ pattern }) => pattern.test(text));
    if (rule === undefined) return undefined;
    counts.met++;
    if (--rule.times === 0) rules.splice(rules.indexOf(rule), 1);
    return rule;
  }

  const proxy: DatabaseProxy = {
    host: '127.0.0.1',
    get port() {
      return port;
    },
    get open() {
      return clients.size;
    },
    get made() {
      return counts.made;
    },
    get met() {
      return counts.met;
    },
    refuse: (errno, pattern, times = 1) => void rules.push({ kind: 'refuse', errno, pattern, times }),
    clear: () => void rules.splice(0),
    loseAnswer: (pattern) => void rules.push({ kind: 'lose', pattern, times: 1 }),
    cutAt: (pattern) => void rules.push({ kind: 'cut', pattern, times: 1 }),
    mostBytes: Number.POSITIVE_INFINITY,
    stall() {
      stalled = true;
    },
    flow({ thaw } = { thaw: false }) {
      stalled = false;
      const waiting = held.splice(0);
      if (thaw) for (const write of waiting) write();
    },
    strand() {
      for (const client of clients) stranded.add(client);
    },
    die: close,
    refuseConnections: () => void server.close(),
    async listen() {
      server.listen({ port, host: '127.0.0.1' });
      await once(server, 'listening');
      port = (server.address() as AddressInfo).port;
    },
    close,
  };

  async function close(): Promise<void> {
    const closed = server.listening ? once(server, 'close') : undefined;
    if (closed !== undefined) server.close();
    for (const client of clients) client.resetAndDestroy();
    await closed;
  }

  const server = createServer((client) => {
    counts.made++;
    clients.add(client);
    const upstream = connect({ port: to.port, host: '127.0.0.1' });
    client.setNoDelay(true);
    let losing = false;
    const meet = (packet: Buffer): boolean => {
      if (packet.length > proxy.mostBytes) {
        counts.met++;
        client.resetAndDestroy();
        return true;
      }
      const rule = ruleFor(packet.toString('utf8', 5));
      if (rule?.kind === 'refuse') forward(client, client, errorPacket(rule.errno));
      if (rule?.kind === 'cut') client.resetAndDestroy();
      if (rule?.kind === 'lose') losing = true;
      return rule !== undefined && rule.kind !== 'lose';
    };
    const assemble: (bytes: Buffer) => void = assembler((packet) => {
      // A query has the number 0 and the command 3.
      if (packet[3] === 0 && packet[4] === 3 && meet(packet)) return;
      forward(client, upstream, packet);
    });
    client.on('data', (bytes: Buffer) => assemble(bytes));
    upstream.on('data', (bytes: Buffer) => {
      if (losing) client.resetAndDestroy();
      else forward(client, client, bytes);
    });
    client.on('error', () => undefined);
    upstream.on('error', () => undefined);
    client.on('close', () => {
      clients.delete(client);
      upstream.destroy();
    });
    upstream.on('close', () => client.destroy());
  });
  await proxy.listen();
  return proxy;
}

/** Gives whole packets: three bytes of length, the number, the content. */
function assembler(onPacket: (packet: Buffer) => void): (bytes: Buffer) => void {
  let chunks: Buffer[] = [];
  let size = 0;
  return (bytes) => {
    chunks.push(bytes);
    size += bytes.length;
    for (;;) {
      if (size < 4) return;
      if ((chunks[0] as Buffer).length < 4) chunks = [Buffer.concat(chunks)];
      const length = 4 + (chunks[0] as Buffer).readUIntLE(0, 3);
      if (size < length) return;
      const all = Buffer.concat(chunks);
      onPacket(all.subarray(0, length));
      chunks = [all.subarray(length)];
      size -= length;
    }
  };
}

/** An ERR_Packet, the answer to the packet number 0: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html */
function errorPacket(errno: number): Buffer {
  const body = Buffer.from(`\xff  #HY000injected error ${errno}`, 'latin1');
  body.writeUInt16LE(errno, 1);
  const header = Buffer.alloc(4);
  header.writeUIntLE(body.length, 0, 3);
  header[3] = 1;
  return Buffer.concat([header, body]);
}
