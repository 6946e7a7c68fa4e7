/** `stockmesh asyncapi`: what the services say over MQTT, as a document. */
import { asyncapi as document } from '../../platform/asyncapi.ts';
import { print } from '../output/print.ts';

export async function asyncapi(): Promise<number> {
  print(document());
  return 0;
}
