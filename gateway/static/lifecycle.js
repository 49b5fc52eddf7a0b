// Where a model stands in its life.

/** Has it reached the end, by the calendar or because Bedrock says so? */
export const isRetired = (one) => one.retired === true || one.stage === "eol";
