/** `queue.mqtt.url`, apart from the MQTT client: reading a configuration must not load it. */
import type { HostAddress } from '../database/addresses.ts';
import { splitUrl } from '../text/url-account.ts';

/** The port of each protocol where the URL names none. */
export const PORTS = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 } as const;
type Protocol = keyof typeof PORTS;

export interface BrokerUrl {
  protocol: Protocol;
  /** One, or the nodes of a cluster. */
  hosts: [HostAddress, ...HostAddress[]];
  /** Of a WebSocket, with its parameters; "/" otherwise. */
  path: string;
  username: string | undefined;
  password: string | undefined;
}

const LOOK = 'must look like mqtt://user:password@host:1883, with mqtt, mqtts, ws or wss (nodes of one cluster: host1:1883,host2:1883)';

export const isEncryptedUrl = (url: string): boolean => /^\s*(mqtts|wss):/i.test(url);

/** A fault is a text that begins with a verb. It never contains a password. Not left to mqtt.js: its parser breaks a password with "%" or "@" and lets a query set the client id. */
export function readBrokerUrl(text: string): BrokerUrl | { fault: string } {
  const split = splitUrl(text);
  if (split === undefined) return { fault: LOOK };
  if ('fault' in split) return split;
  if (!Object.hasOwn(PORTS, split.protocol)) return { fault: LOOK };
  const protocol = split.protocol as Protocol;
  // What stands before the path may be a list, which no URL knows.
  const [, list = '', rest = ''] = /^([^/?#]*)(.*)$/s.exec(split.rest) ?? [];
  const [url, ...others] = list.split(',').map((place) => URL.parse(`${protocol}://${place.trim()}${rest}`));
  if (!isPlace(url) || !others.every(isPlace)) return { fault: LOOK };
  const isSocket = protocol === 'ws' || protocol === 'wss';
  const more = isSocket ? url.hash : `${url.pathname === '/' ? '' : url.pathname}${url.search}${url.hash}`;
  if (more !== '')
    return {
      fault: `has more after its host and port, which ${protocol}:// has no use for: parameters and paths are for ws:// and wss:// only; everything else is a key of queue.mqtt`,
    };
  return {
    protocol,
    hosts: [placeOf(url, protocol), ...others.map((other) => placeOf(other, protocol))],
    path: url.pathname + url.search,
    username: split.username,
    password: split.password,
  };
}

const isPlace = (url: URL | null | undefined): url is URL => url != null && url.hostname !== '' && url.port !== '0';

const placeOf = ({ hostname, port }: URL, protocol: Protocol): HostAddress => ({
  // [::1] in a URL is ::1 to the system.
  host: hostname.replace(/^\[|\]$/g, ''),
  port: Number(port) || PORTS[protocol],
});
