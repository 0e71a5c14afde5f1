import { z } from 'zod';

/** A string that has to be there, and to say something. */
export const nonEmpty = z.string().min(1);

export interface TextRule {
  /** In the common part of the syntaxes of JavaScript and RE2, without backslashes and quotes. */
  pattern: RegExp;
  /** What users have to write, with an example; it follows the name of the field. */
  message: string;
  maxLength: number;
}

/**
 * A string under a rule that is explained. The CRD carries it as a validation rule, for which the API server says the message; of a
 * plain pattern it would only show the expression.
 *
 * @example ruledText({ pattern: /^[a-z]+$/, message: 'must be lower-case letters, such as abc', maxLength: 63 })
 */
export function ruledText({ pattern, message, maxLength }: TextRule): z.ZodString {
  return z
    .string()
    .max(maxLength)
    .refine((text) => pattern.test(text), message)
    .meta({ 'x-kubernetes-validations': [{ rule: `self.matches(r'${pattern.source}')`, message }] });
}

/** The name of a namespace. */
export const namespaceText = ruledText({
  pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
  message: 'must be the name of a namespace: lower-case letters, digits and "-", beginning and ending with a letter or digit, such as team-a',
  maxLength: 63,
});
