import type { Duplex } from 'node:stream';

/**
 * From now on all packets that are written to `stream` in one turn of the event loop leave in one system call: in a burst of logins each broker connection has
 * thousands, and a call for each was half of the broker's time. A lone packet waits for nothing but the end of the turn.
 *
 * The MQTT writer corks the stream around each packet, so this hooks into its `cork`.
 */
export function gatherWrites<Stream extends Duplex>(stream: Stream): Stream {
  const cork = stream.cork;
  let gathering = false;
  stream.cork = () => {
    cork.call(stream);
    if (gathering) return;
    gathering = true;
    cork.call(stream);
    setImmediate(() => {
      gathering = false;
      stream.uncork();
    });
  };
  return stream;
}
