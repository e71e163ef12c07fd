/** What came of the questions to a driver. */
export type Outcome = {
  asked: number
  answered: number
  /** Ended with an error, which a lost connection and a question that was given up must. */
  failed: number
  /** Of these, the ones that nobody had given up and that were no mistakes: their connection was lost. */
  bystanders: number
  /** Answers and errors that belong to another question. */
  wrong: number
  /** Never ended. */
  hung: number
  /** Nobody gave the question up, and the server was told so all the same. */
  cancelledForOther: number
  /** Done although its transaction was undone, undone although it was done, or half done. */
  torn: number
  /** Done inside the transaction of somebody else. */
  strangers: number
  /** Errors that nobody could catch: without the bench's own listener they end the process. */
  uncaught: number
  /** Until the first twenty questions in a row were answered; -1 if they never were. */
  recoveredMs: number
  /** What was seen first of whatever is wrong. */
  first: string
}
