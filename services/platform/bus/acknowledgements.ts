import type { MqttClient } from 'mqtt';

export interface Acknowledgements {
  /** Remembers an unacknowledged message. Gives the function that acknowledges it. */
  expect(messageId: number, topic: string, payload: Buffer): () => void;
  /** True for a message of an earlier connection that is still being handled. Its acknowledgement then goes to the connection that brought it again. */
  cameAgain(messageId: number, topic: string, payload: Buffer): boolean;
  forget(messageId: number | undefined): void;
}

/**
 * Acknowledgements that are sent when a message is handled, a thousand of them open at once. A message id is valid on its own connection only: after a reconnection the
 * broker delivers again what was not acknowledged, and may have given an old id to another message.
 * [MQTT-4.6.0-2] asks for acknowledgements in the order of arrival. They are sent in the order of completion instead, since one message that waits for the database must
 * not delay all others. aedes and Mosquitto find an acknowledged message by its id, so any order works.
 */
export function deferAcknowledgements(client: MqttClient): Acknowledgements {
  const open = new Map<number, { topic: string; payload: Buffer; stream: MqttClient['stream'] }>();
  return {
    expect(messageId, topic, payload) {
      const message = { topic, payload, stream: client.stream };
      open.set(messageId, message);
      return () => {
        if (open.get(messageId) === message) open.delete(messageId);
        // biome-ignore lint/complexity/useLiteralKeys: private in the types of mqtt.js, which has no other way to acknowledge late.
        if (client.connected && client.stream === message.stream) client['_sendPacket']({ cmd: 'puback', messageId });
      };
    },
    cameAgain(messageId, topic, payload) {
      const message = open.get(messageId);
      // Compared by content and not by the DUP flag: aedes keeps the id of a message that it sends again but does not set the flag.
      if (message === undefined || message.stream === client.stream || message.topic !== topic || !message.payload.equals(payload))
        return false;
      message.stream = client.stream;
      return true;
    },
    forget(messageId) {
      if (messageId !== undefined) open.delete(messageId);
    },
  };
}
