/** `stockmesh asyncapi`: what the services say over MQTT, as a document. */
import { listedNames } from '../../job-types/index.ts';
import { asyncapi as document } from '../../platform/asyncapi.ts';
import { print } from '../output/print.ts';

export async function asyncapi(): Promise<number> {
  print(document(listedNames()));
  return 0;
}
