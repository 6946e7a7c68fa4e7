/** When research is fetched again. */
/** Hours for a symbol that somebody asks for. The universe of picks has `picks.universe`. */
export const FUNDAMENTALS_HOURS = 24;
export const NEWS_HOURS = 1;
/** Days for which research is kept. */
export const RESEARCH_DAYS = 90;
