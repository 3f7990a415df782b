/** Cases that do not pass, and why. One that passes must leave this list. */
export const openCases: Readonly<Record<string, string>> = {
  'headers-store-Set-Cookie': 'never: somebody’s cookie is nobody else’s',
  'other-set-cookie': 'as headers-store-Set-Cookie',
  'partial-store-partial-reuse-partial': 'a 206 is not stored',
  'partial-store-partial-reuse-partial-byterange': 'a 206 is not stored',
  'partial-store-partial-reuse-partial-absent': 'a 206 is not stored',
  'partial-store-partial-reuse-partial-suffix': 'a 206 is not stored',
  'partial-store-partial-complete': 'a 206 is not stored',
  'conditional-lm-fresh-no-lm': 'the condition names a time before the stored Date: RFC 9110 §13.1.3 answers 200',
}
