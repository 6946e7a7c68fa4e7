import { commandLine } from '../../services/cli/program.ts';

/** What is wrong with a line that begins with `npx stockmesh`: a verb or an option that the command line does not have. */
export function faultsOfCommand(line: string): string[] {
  const [npx, name, ...words] = line.split(' ');
  if (npx !== 'npx' || name !== 'stockmesh') return [`${line}: does not begin with "npx stockmesh"`];
  let command = commandLine(() => {});
  while (words.length > 0) {
    const next = command.commands.find((one) => one.name() === words[0]);
    if (next === undefined) break;
    command = next;
    words.shift();
  }
  if (command.parent === null) return [`${line}: there is no such verb`];
  const known = command.options.map(({ long }) => long);
  return words.filter((word) => word.startsWith('--') && !known.includes(word)).map((word) => `${line}: ${command.name()} has no ${word}`);
}
