/** A process that converts one file again and again, until it is killed. Arguments: the options of the converter and the conversion, as JSON. */
import { pino } from 'pino';
import { createConverter } from '../../../services/history/parquet/converter.ts';

const [options, conversion] = process.argv.slice(2).map((text) => JSON.parse(text));
const converter = createConverter({ ...options, log: pino({ level: 'silent' }) });
for (;;) {
  await converter.convert(conversion, new AbortController().signal);
  process.send?.('converted');
}
