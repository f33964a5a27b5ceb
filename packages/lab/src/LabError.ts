import { Schema } from "effect"

/** A fixture could not be built or used: something of the machine is missing, or a program said no. */
export class LabError extends Schema.TaggedError<LabError>()("LabError", {
  message: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {}
