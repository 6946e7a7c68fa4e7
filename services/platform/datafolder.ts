export * from '../cli/datafolder.ts';
