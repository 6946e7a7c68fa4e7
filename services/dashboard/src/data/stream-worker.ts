import type { FromHub, ToHub } from './events.ts';
import { createHub } from './hub.ts';

const hub = createHub();

addEventListener('connect', (event) => {
  const port = (event as MessageEvent).ports[0] as MessagePort;
  const hear = hub.attach((message: FromHub) => port.postMessage(message));
  port.onmessage = ({ data }: MessageEvent<ToHub>) => hear(data);
});
