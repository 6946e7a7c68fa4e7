import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CORE_SCHEMA, load, mergeTag } from 'js-yaml';
import { ROOT } from '../../docs/markdown.ts';

export interface ComposeService {
  image: string;
  command?: string[];
  environment?: Record<string, string>;
  secrets?: string[];
  volumes?: string[];
  [key: string]: unknown;
}

interface Compose {
  name: string;
  services: Record<string, ComposeService>;
  secrets: Record<string, { file: string }>;
  volumes: Record<string, unknown>;
}

export const COMPOSE_FILE = join(ROOT, 'deploy/container/compose.yaml');

/** The compose file with its anchors and merged maps resolved, as compose reads it. */
export function compose(): Compose {
  return load(readFileSync(COMPOSE_FILE, 'utf8'), { schema: CORE_SCHEMA.withTags(mergeTag) }) as Compose;
}
