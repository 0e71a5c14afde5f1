/**
 * The placeholders of a template, and what is left without them.
 *
 * @example tokensOf('a/{name}.json') // { tokens: new Set(['name']), rest: 'a/.json' }
 */
export function tokensOf(template: string): { tokens: ReadonlySet<string>; rest: string } {
  const tokens = new Set(Array.from(template.matchAll(placeholder), ([, token = '']) => token));
  return { tokens, rest: template.replaceAll(placeholder, '') };
}

const placeholder = /\{([^{}]*)\}/g;
