import { scryptSync } from 'node:crypto';
import { type BrokerAddress, clientOptions } from './connection.ts';

const BYTES = 12;

/**
 * `name` and a part that only who knows the account's password can work out; without a password the name alone. For names that give power to
 * whoever uses them: at most brokers, a client id takes over the session of that id, and a group name a share of the group's messages,
 * whatever the account may see. The same at every start and for every process of the account. Costs about 50 ms, so that a log of client ids
 * does not help to guess the password.
 */
export function secretName(address: BrokerAddress, name: string): string {
  const { password } = clientOptions(address);
  return password ? `${name}-${scryptSync(String(password), name, BYTES).toString('hex')}` : name;
}
