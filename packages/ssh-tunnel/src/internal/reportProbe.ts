/** Answers of health endpoints in words, for reports. */
import type { Verdict } from "./healthAnswer.ts"

/** One answer; texts of the other side are quoted as discovery quotes them. */
export const describeVerdict = (verdict: Verdict): string => {
  switch (verdict._tag) {
    case "Valid":
      return `OpenCode ${verdict.version} (${verdict.generation})${
        verdict.pid === undefined ? "" : `, process ${verdict.pid}`
      }`
    case "Unauthorized":
      return "401: it asks for a password"
    case "Status":
    case "Missing":
      return `status ${verdict.status}`
    case "Silent":
      return "no answer"
    default:
      return verdict.detail
  }
}
