/** `stockmesh asyncapi`: the AsyncAPI document of the messages over MQTT. */
import { listedNames } from '../../job-types/index.ts';
import { asyncapi as document } from '../../platform/asyncapi.ts';
import { print } from '../output/print.ts';

export async function asyncapi(): Promise<number> {
  print(document(listedNames()));
  return 0;
}
