/** Cases that do not pass, and why. One that passes must leave this list. */
export const openCases: Readonly<Record<string, string>> = {
  'headers-store-Set-Cookie': 'never: somebody’s cookie is nobody else’s',
  'other-set-cookie': 'as headers-store-Set-Cookie',
  // Its 206 says `bytes 4-9/10` of five bytes: which of the six is missing, nobody can tell.
  'partial-store-partial-reuse-partial': 'a 206 that is shorter than its Content-Range is not stored',
  'partial-store-partial-reuse-partial-byterange': 'as the one before',
  'partial-store-partial-reuse-partial-absent': 'as the one before',
  'partial-store-partial-reuse-partial-suffix': 'as the one before',
  'partial-store-partial-complete':
    'its 206 has no strong validator, without which the rest must not be joined to it (§3.4)',
  'conditional-lm-fresh-no-lm': 'the condition names a time before the stored Date: RFC 9110 §13.1.3 answers 200',
}
