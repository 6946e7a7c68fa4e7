/** Clients of one account that send as fast as they may. Says so when all are connected; at the end, how many still are. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface FloodOrder {
  kind: string;
  port: number;
  password: string;
  clients: number;
}

const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length >> 8, value.length & 255]), Buffer.from(value)]);

/** Of less than 16 KiB, as MQTT 3.1.1, 2.2 lays a packet out. */
function packet(first: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

const ID = Buffer.from([0, 7]);
const PAYLOAD = Buffer.alloc(100, 48);

interface Flood {
  account: string;
  prefix: string;
  /** Undefined: they connect again and again. */
  sent: Buffer | undefined;
}

const of = (account: string, sent: Buffer | undefined, prefix = `${account}-flood-`): Flood => ({ account, prefix, sent });

export const FLOODS: Record<string, Flood> = {
  'QoS 0': of('worker', packet(0x30, text('stock/fetch/AAPL'), PAYLOAD), 'stockmesh-worker-'),
  'QoS 1': of('worker', packet(0x32, text('stock/fetch/AAPL'), ID, PAYLOAD), 'stockmesh-worker-'),
  'QoS 0, not allowed': of('monitor', packet(0x30, text('stock/fetch/AAPL'), PAYLOAD)),
  subscriptions: of('monitor', packet(0x82, ID, text('data/AAPL/#'), Buffer.from([0]))),
  pings: of('monitor', packet(0xc0)),
  'malformed logins': of('hook', packet(0x32, text('events/login'), ID, Buffer.from('{"userId":5}'))),
  connections: of('monitor', undefined),
};

async function enter({ account, prefix }: Flood, number: number, { port, password }: FloodOrder): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  socket.write(packet(0x10, text('MQTT'), Buffer.from([4, 0xc2, 0, 0]), text(`${prefix}${number}`), text(account), text(password)));
  await once(socket, 'data');
  return socket.resume();
}

async function flood(order: FloodOrder): Promise<void> {
  const kind = FLOODS[order.kind]!;
  const sockets: Socket[] = [];
  for (let number = 0; number < order.clients; number++) {
    const socket = await enter(kind, number, order);
    sockets.push(socket);
    if (kind.sent === undefined) void enterAgain(kind, number, order, socket);
    else send(socket, kind.sent);
  }
  process.send?.({ ready: true });
  process.once('message', () => {
    process.send?.({ alive: kind.sent === undefined ? 0 : sockets.filter(({ writable, readable }) => writable && readable).length });
    process.exit();
  });
}

async function enterAgain(kind: Flood, number: number, order: FloodOrder, first: Socket): Promise<never> {
  for (let socket = first; ; socket = await enter(kind, number, order)) socket.destroy();
}

function send(socket: Socket, one: Buffer): void {
  const many = Buffer.concat(Array.from({ length: Math.ceil(65_536 / one.length) }, () => one));
  const more = (): void => {
    if (socket.write(many)) setImmediate(more);
    else socket.once('drain', more);
  };
  more();
}

// The bench itself reads FLOODS.
if (import.meta.main) {
  process.once('disconnect', () => process.exit());
  process.once('message', (order: FloodOrder) => void flood(order));
}
