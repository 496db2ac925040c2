/** Each named situation must come in one run of so many, on average, of the mixed profile. */
export const seedsPerSituation = 200;

export const namedSituations: readonly string[] = [];
