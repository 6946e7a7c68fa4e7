import type { Duplex } from 'node:stream';

/**
 * From now on the packets that are written to `stream` in one turn of the event loop leave in two system calls: the first one at once, so that a lone packet waits for
 * nothing, and all that follow it together at the end of the turn. In a burst of logins each broker connection has thousands, and a call for each was half of the
 * broker's time.
 *
 * The MQTT writer corks the stream around each packet, so this hooks into its `cork`.
 */
export function gatherWrites<Stream extends Duplex>(stream: Stream): Stream {
  const cork = stream.cork;
  let packets = 0;
  stream.cork = () => {
    cork.call(stream);
    packets++;
    if (packets === 1)
      setImmediate(() => {
        if (packets > 1) stream.uncork();
        packets = 0;
      });
    if (packets === 2) cork.call(stream);
  };
  return stream;
}
