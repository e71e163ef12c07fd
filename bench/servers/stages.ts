/** The parts of the data path that are measured by themselves. */

export const STAGES = ['listen', 'authenticate', 'match', 'charge', 'forward', 'whole'] as const
export type Stage = (typeof STAGES)[number]

/** Any key will do: the stages differ in what they do with it. */
export const STAGE_KEY = 'trial_00000000-stage'
