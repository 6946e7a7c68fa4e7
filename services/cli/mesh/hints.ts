/** What `stockmesh up` prints when all is ready: commands that a person can paste as they are. */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { COMMAND } from '../../platform/command-name.ts';
import type { Config } from '../../platform/config/load.ts';
import { usesEmbedded } from '../../platform/connections.ts';
import { OPERATOR_KEY_FILE } from '../../platform/machine/datafolder.ts';
import { shellWord } from '../../platform/text/shell-word.ts';
import { gatewayUrl } from '../dashboard/link.ts';

/** The folder of package.json. npx finds the command `stockmesh` only there; elsewhere it asks the registry for a package of that name. */
const PACKAGE_FOLDER = fileURLToPath(new URL('../../../', import.meta.url)).replace(/\/$/, '');

interface Started {
  dataFolder: string;
  config: Config;
  /** The path of the log file. */
  log: string;
  /** Opens the dashboard, signed in; undefined where its pages are not built. */
  link: string | undefined;
}

/** The lines, each a title and a command. */
export function hintsFor({ dataFolder, config, log, link }: Started): string[] {
  const { queue } = config;
  const secret = (file: string): string => `$(cat ${shellWord(join(dataFolder, file))})`;
  const stockmesh = `${COMMAND}${dataFolder === join(PACKAGE_FOLDER, 'data') ? '' : ` --data ${shellWord(dataFolder)}`}`;
  const url = gatewayUrl(config);
  const lines: [title: string, command: string][] = [
    ...(link === undefined
      ? []
      : ([
          ['open in a browser', link],
          ['the same later', `${stockmesh} dashboard`],
        ] as [string, string][])),
    ['in a terminal in', shellWord(PACKAGE_FOLDER)],
    ['sign a user in', `${stockmesh} login alice --wait`],
    ['live view', `${stockmesh} top`],
  ];
  if (usesEmbedded(config).broker)
    lines.push(
      ['watch every job', `mosquitto_sub -p ${queue.mqtt.port} -u monitor -P "${secret('mqtt-monitor.password')}" -t 'stock/+/+' -v`],
      [
        'login over MQTT',
        `mosquitto_pub -p ${queue.mqtt.port} -u hook -P "${secret('mqtt-hook.password')}" -q 1 -t events/login -m '{"userId":"alice"}'`,
      ],
    );
  lines.push(
    ['over HTTP', `curl -H "Authorization: Bearer ${secret(OPERATOR_KEY_FILE)}" ${url}/v1/jobs`],
    ['HTTP API', `${url}/docs`],
    ['log', log],
  );
  return lines.map(([title, command]) => `  ${title.padEnd(18)} ${command}`);
}
