import type { Case } from './case.ts'
import { freshnessCases } from './cases/freshness.ts'
import { selectionCases } from './cases/selection.ts'
import { storingCases } from './cases/storing.ts'
import { validationCases } from './cases/validation.ts'

/** All cases of the suite that are about shared caches and have an expectation: not the `check` ones. */
export const allCases: readonly Case[] = [...freshnessCases, ...storingCases, ...validationCases, ...selectionCases]

export const count = (of: readonly Case[], kind: Case['kind']): number => of.filter((one) => one.kind === kind).length
