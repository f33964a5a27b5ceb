/** Which names promise that their value is a secret: of environment variables, JSON and YAML keys, flags, headers. */

/** A word that says "secret" wherever it stands in a name, alone or at the end of a compound (`pgpassword`). */
const secretWord =
  /(?:passwords?|passwd|passphrase|passcode|secrets?|token|credentials?|apikey|privatekey|accesskey|secretkey|cookies?|jwt)\d*$/

/** What `*_key` is no secret of. */
const openKeys: ReadonlySet<string> = new Set([
  "public",
  "pub",
  "host",
  "known",
  "primary",
  "foreign",
  "cache",
  "sort",
  "partition",
  "group",
  "map",
  "object",
  "row",
  "column",
  "lookup",
  "index",
  "event",
  "query",
  "registry",
  "reg",
  "hot",
  "shortcut",
  "translation",
  "storage"
])

/** What may follow `key` in the name of a key itself. */
const keyForms: ReadonlySet<string> = new Set([
  "id",
  "base",
  "pem",
  "b64",
  "base64",
  "data",
  "value",
  "material",
  "raw",
  "hex"
])

/** The last word of a name that speaks about a secret and does not hold it. */
const about: ReadonlySet<string> = new Set([
  "age",
  "agent",
  "algorithm",
  "algorithms",
  "authentication",
  "cmd",
  "command",
  "count",
  "dir",
  "directory",
  "enabled",
  "endpoint",
  "env",
  "error",
  "expiration",
  "expired",
  "expires",
  "expiry",
  "file",
  "filename",
  "fingerprint",
  "format",
  "helper",
  "kind",
  "length",
  "limit",
  "manager",
  "max",
  "min",
  "name",
  "names",
  "path",
  "policy",
  "prompt",
  "prompts",
  "provider",
  "required",
  "rotation",
  "size",
  "sock",
  "socket",
  "source",
  "status",
  "store",
  "ttl",
  "type",
  "types",
  "uri",
  "url",
  "usage",
  "used",
  "valid",
  "version"
])

/** Cheap, so that most names cost no more. Names that cannot pass {@link isSecretName} or its query form. */
const candidate = /pass|pwd|secret|token|key|cred|cookie|jwt|auth|pat|sig|code|ticket|otp/i

/** `serverAPIKey-2` → server, api, key, 2 */
const wordsOf = (name: string): ReadonlyArray<string> =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1_$2")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "")

/**
 * Whether a value of this name must be hidden. Names longer than 80 characters
 * should be cut before, from the left.
 */
export const isSecretName = (name: string): boolean => {
  if (!candidate.test(name)) return false
  const words = wordsOf(name)
  const last = words.at(-1)
  if (last === undefined || about.has(last)) return false
  if (words.some((word) => secretWord.test(word))) return true
  if (last === "authorization") return true
  const key = words.findLastIndex((word) => word === "key" || word === "keys")
  if (key > 0 && !openKeys.has(words[key - 1] ?? "")) {
    if (key === words.length - 1 ? words[key] === "key" : words.slice(key + 1).every((word) => keyForms.has(word))) {
      return true
    }
  }
  if (last === "pass" || last === "pwd") return true
  // .npmrc: `_auth=…`
  return (last === "auth" && (words.length > 1 || name.startsWith("_"))) || (last === "pat" && words.length > 1)
}

const queryNames: ReadonlySet<string> = new Set(["key", "sig", "signature", "code", "auth", "ticket", "otp"])

/** The same for a parameter of a URL's query. */
export const isSecretParameter = (name: string): boolean =>
  candidate.test(name) && (isSecretName(name) || queryNames.has(wordsOf(name).at(-1) ?? ""))
