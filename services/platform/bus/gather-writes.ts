import type { Duplex } from 'node:stream';

/**
 * From now on all packets that are written to `stream` in one turn of the event loop are sent together, in one system call at its end. A single packet does not wait:
 * unless the turn before had several, the first packet of a turn is sent at once. In a burst of logins each broker connection sends thousands, and one system call
 * for each took a third of the broker's time.
 *
 * The MQTT writer corks the stream around each packet, so this hooks into its `cork`.
 */
export function gatherWrites<Stream extends Duplex>(stream: Stream): Stream {
  const cork = stream.cork;
  let packets = 0;
  let busy = false;
  let gathering = false;
  let watching = false;
  const endOfTurn = (): void => {
    busy = packets > 1;
    // One turn longer: a turn without a packet ends the burst.
    watching = packets > 0;
    if (watching) setImmediate(endOfTurn);
    packets = 0;
    if (gathering) stream.uncork();
    gathering = false;
  };
  stream.cork = () => {
    cork.call(stream);
    packets++;
    if (!watching) setImmediate(endOfTurn);
    watching = true;
    if (gathering || (packets === 1 && !busy)) return;
    gathering = true;
    cork.call(stream);
  };
  return stream;
}
