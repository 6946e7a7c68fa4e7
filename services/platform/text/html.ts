const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as it stands in HTML, in an attribute too. */
export const escaped = (plain: string): string => plain.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
