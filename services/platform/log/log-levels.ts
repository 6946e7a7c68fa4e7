/** The names that the configuration knows, apart from the logger: reading a configuration must not load it. */
export const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type Level = (typeof LEVELS)[number];

/** The parts of a service that can have a level or a log file of their own (`logging.component_logs`). */
export const COMPONENTS = ['portfolio', 'fetcher', 'analyzer', 'mqtt', 'scheduler', 'notifier', 'gateway'] as const;
export type Component = (typeof COMPONENTS)[number];
