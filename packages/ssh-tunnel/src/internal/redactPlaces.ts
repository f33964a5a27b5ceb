/**
 * Finds people and places in a text, and gives them pseudonyms: `user-1`,
 * `host-1`, `ip-1`, `~` for a home directory. Names that we know are found
 * wherever they stand; others where only a name can stand (before and after an
 * `@`, in URLs and home directories, in ssh's own sentences), and addresses.
 * A path is a home directory when something lies in it that only such one has.
 */
import type { Span } from "./redactDecode.ts"
import { eachMatch } from "./redactMatch.ts"
import { marker } from "./redactPatterns.ts"
import { isPublic, nobody, vendors, vocabulary, words } from "./redactWords.ts"

/** Who and where; as `ssh` and the passwd file name them. */
export interface Names {
  readonly users: ReadonlyArray<string>
  /** Names or addresses. */
  readonly hosts: ReadonlyArray<string>
  readonly homes: ReadonlyArray<string>
  /** What else a person has named, e.g. profiles. */
  readonly labels: ReadonlyArray<string>
}

type Kind = "user" | "host" | "ip" | "profile"

interface Place extends Span {
  readonly kind: Kind | "home" | "kept"
  readonly name: string
}

const isLoopback = (address: string): boolean =>
  /^(?:127\.|0\.0\.0\.0$|255\.255\.255\.255$)/.test(address) || /^[0:]+1?$/.test(address)

const isIpv4 = (text: string): boolean =>
  /^\d{1,3}(?:\.\d{1,3}){3}$/.test(text) && text.split(".").every((part) => Number(part) <= 255)

const isIpv6 = (text: string): boolean => {
  const [address = "", zone] = text.split("%")
  if (zone !== undefined && !/^[\w.-]{1,32}$/.test(zone)) return false
  const halves = address.split("::")
  if (halves.length > 2 || address.length > 45 || !/\d/.test(address)) return false
  const groups = halves.flatMap((half) => half === "" ? [] : half.split(":"))
  const last = groups.at(-1) ?? ""
  const count = groups.length + (isIpv4(last) ? 1 : 0)
  return (halves.length === 2 ? count < 8 && count > 0 : count === 8) &&
    groups.every((group, index) => /^[0-9a-fA-F]{1,4}$/.test(group) || (index === groups.length - 1 && isIpv4(group)))
}

const escaped = (name: string): string => name.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")

/** Not in the middle of a word; escapes of URLs and JSON end one. */
const looseStart = String.raw`(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}|\\[nrtbf]|\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}))`
const looseEnd = "(?![A-Za-z0-9])"
/** Not a part of a path, a file name or a compound either. */
const strictStart = String.raw`(?<![\w./\\~+-])`
const strictEnd = String.raw`(?![\w/\\~+-]|\.\w)`

const anyOf = (names: ReadonlyArray<string>, start: string, end: string): RegExp | undefined =>
  names.length === 0
    ? undefined
    : new RegExp(`${start}(?:${[...names].sort((a, b) => b.length - a.length).map(escaped).join("|")})${end}`, "gi")

/** Names that were made ready for many texts. */
export interface Places {
  readonly kinds: ReadonlyMap<string, Kind>
  readonly homes: RegExp | undefined
  readonly loose: RegExp | undefined
  readonly strict: RegExp | undefined
  /** Numbers that are names already, so that no pseudonym is somebody's name. */
  readonly taken: ReadonlySet<string>
  /** In the order of their numbers. */
  readonly seeds: ReadonlyArray<readonly [kind: Kind, name: string]>
}

const kindOfHost = (name: string): "ip" | "host" => isIpv4(name) || isIpv6(name) ? "ip" : "host"

/** `[user@]host[:port]`, `[address]:port` → the host alone. */
const bareHost = (text: string): string => {
  const host = text.slice(text.lastIndexOf("@") + 1)
  const bracketed = /^\[(.+)\](?::\d+)?$/.exec(host)?.[1]
  return (bracketed ?? (isIpv6(host) ? host : host.replace(/:\d+$/, ""))).toLowerCase()
}

/** A name that means nothing else, so that it is recognised as a part of other words, too. */
const isDistinctive = (name: string): boolean => name.length >= 5 && !words.has(name) && !vocabulary.has(name)

/** Makes names ready. */
export const compile = ({ homes, hosts, labels, users }: Names): Places => {
  const seeds: Array<readonly [Kind, string]> = []
  const kinds = new Map<string, Kind>()
  const add = (kind: Kind, given: string) => {
    const name = given.toLowerCase()
    if (name === "" || nobody.has(name) || isPublic(name) || isLoopback(name) || kinds.has(name)) return
    kinds.set(name, kind)
    seeds.push([kind, name])
  }
  for (const user of users) add("user", user)
  for (const host of hosts) {
    const name = bareHost(host)
    add(kindOfHost(name), name)
  }
  // A machine is called by its first label as well.
  for (const host of hosts) {
    const name = bareHost(host)
    const label = name.split(".")[0] ?? ""
    if (kindOfHost(name) === "host" && label !== name && label.length >= 3 && !vocabulary.has(label)) add("host", label)
  }
  for (const label of labels) add("profile", label)
  const names = [...kinds.keys()].filter((name) => name.length >= 3 && !vocabulary.has(name))
  return {
    kinds,
    seeds,
    homes: anyOf(
      [
        ...new Set(homes.flatMap((home) => {
          const path = home.replace(/[/\\]+$/, "")
          return path.length < 4 ? [] : [path, path.replaceAll("\\", "\\\\"), path.replaceAll("\\", "/")]
        }))
      ],
      String.raw`(?<![\w~.-])`,
      String.raw`(?![\w-]|\.\w)`
    ),
    loose: anyOf(names.filter(isDistinctive), looseStart, looseEnd),
    strict: anyOf(names.filter((name) => !isDistinctive(name)), strictStart, strictEnd),
    taken: new Set(kinds.keys())
  }
}

/** Gives out pseudonyms; one for the whole of a report. */
export interface Pseudonyms {
  readonly of: (kind: Kind, name: string) => string
  /** Names that were found by where they stood. */
  readonly learned: () => RegExp | undefined
  readonly kindOf: (name: string) => Kind | undefined
}

/** What a stranger prints must not make every further text slow. */
const mostLearned = 64

/** Starts to count. */
export const pseudonyms = ({ kinds, seeds, taken }: Places): Pseudonyms => {
  const given = new Map<string, { readonly kind: Kind; readonly pseudonym: string }>()
  const counters = new Map<Kind, number>()
  const learned: Array<string> = []
  let pattern: RegExp | undefined
  const of = (kind: Kind, name: string): string => {
    const key = name.toLowerCase()
    const known = given.get(key)
    if (known !== undefined) return known.pseudonym
    let number = counters.get(kind) ?? 0
    do number++
    while (taken.has(`${kind}-${number}`))
    counters.set(kind, number)
    const pseudonym = `${kind}-${number}`
    given.set(key, { kind, pseudonym })
    if (!kinds.has(key) && learned.length < mostLearned && isDistinctive(key)) {
      learned.push(key)
      pattern = anyOf(learned, looseStart, looseEnd)
    }
    return pseudonym
  }
  for (const [kind, name] of seeds) of(kind, name)
  return { of, learned: () => pattern, kindOf: (name) => given.get(name.toLowerCase())?.kind }
}

const userName = String.raw`[A-Za-z0-9_][\w.+$-]{0,63}`
const hostName = String.raw`[A-Za-z0-9_](?:[\w.-]{0,252}[\w])?`

/** Where only a user can stand; the first group stands before the name. */
const userPlaces = [
  new RegExp(
    String
      .raw`((?:/home|/Users|/u01/home|[A-Za-z]:\\{1,4}Users|[A-Za-z]:/Users)[/\\]{1,4})(?!\.)([^\s/\\:"'<>|;,()[\]{}*$~]{1,64})`,
    "g"
  ),
  new RegExp(String.raw`((?:Authenticating to \S{1,300} as |for user |user ')'?)(${userName})(?=')`, "g"),
  new RegExp(String.raw`(^user )(${userName})(?=\r?$)`, "gm"),
  new RegExp(String.raw`((?:^|[\s"'])(?:USER|LOGNAME|USERNAME)=["']?)(${userName})(?![\w/])`, "g"),
  new RegExp(String.raw`((?<![\w-])-l )(${userName})(?=\s|$)`, "g"),
  new RegExp(String.raw`("(?:user|username|userName|login|logname)" ?: ?")(${userName})(?=")`, "g")
]

/** What lies in a home directory; the path before it is one. */
const homeMark =
  /[/\\]\.(?:ssh[/\\]|opencode[/\\]bin|bun[/\\]bin|local[/\\](?:bin|share|state)|config[/\\]opencode|cache[/\\]opencode)/g

/** The path that ends at a place; `undefined` when it is none, or too long to be one. */
const pathBefore = (text: string, end: number): string | undefined => {
  let start = end
  while (start > 0 && end - start < 256 && !/[\s"'`<>|:;,()=[\]{}]/.test(text.charAt(start - 1))) start--
  const path = text.slice(start, end)
  return path.length >= 4 && /^[/\\][^/\\]/.test(path) ? path : undefined
}

/** Where only a host can stand. */
const hostPlaces = [
  new RegExp(
    String
      .raw`((?:Connecting to|connect to host|Authenticated to|Authenticating to|Timeout, server|resolve hostname|[Cc]onnection to|[Cc]onnect to(?: address)?|closed by|reset by|Host) '?\[?)(${hostName})(?=\]?(?:'|:\d| \[| \(| port |: Name| is known| not responding| closed|: [A-Za-z]))`,
    "g"
  ),
  // Files that bootstrap keeps on a machine.
  new RegExp(String.raw`(opencode-ssh/(?:server|lock|lease|start)-)(${hostName})(?=-\d{4,}(?!\d))`, "g"),
  new RegExp(String.raw`(-W '?\[?)(${hostName})(?=\]?:\d)`, "g"),
  new RegExp(String.raw`(-W '?\[?[^\s'\]]{1,260}\]?:\d{1,5}'? )(${hostName})(?=\r?$)`, "gm"),
  new RegExp(
    String.raw`(^(?:(?:host|hostname|hostkeyalias) |proxyjump (?:[^\s,@]{1,64}@)?))(${hostName})(?=\r?$|,|:\d)`,
    "gm"
  ),
  new RegExp(String.raw`((?:^|[\s"'])HOSTNAME=["']?)(${hostName})(?![\w/])`, "g"),
  new RegExp(String.raw`("(?:host|hostname|hostName|nodename|fqdn)" ?: ?")(${hostName})(?=")`, "g"),
  new RegExp(String.raw`((?<![\w-])-J )(${hostName})(?=\s|$|:\d|,)`, "g")
]

const afterScheme = /:\\?\/\\?\//g
const authority =
  /(?:([^\s/?#"'<>`\\@:]{1,64})(:[^\s/?#"'`\\@]{0,256})?@)?(\[[0-9a-fA-F:.%\w-]{2,60}\]|[A-Za-z0-9_][\w.-]{0,252})/y
const at = new RegExp(String.raw`(?<![\w.+/@-])(${userName})@(\[[0-9a-fA-F:.%]{2,60}\]|${hostName})`, "g")
const ipv4 = /(?<![\w.-])\d{1,3}(?:\.\d{1,3}){3}(?![\w-]|\.\w)/g
const ipv6 = /(?<![\w.:])[0-9a-fA-F:]{2,39}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?(?:%[\w.-]{1,32})?(?![\w:])/g
const domain =
  /(?<![\w.@/-])(?:[a-z0-9_](?:[a-z0-9_-]{0,62}[a-z0-9_])?\.){1,8}(?:com|net|org|edu|gov|mil|internal|local|lan|corp|intra|intranet|localdomain|arpa|private|test)(?![\w-]|\.\w)/g
const pseudonym = /(?<![A-Za-z0-9])(?:user|host|ip|profile)-\d{1,6}(?![A-Za-z0-9])/g

/** `name@1.2.3`, `name@latest`: a package. */
const isVersion = (name: string): boolean =>
  !isIpv4(name) && /^(?:v?\d|latest$|next$|beta$|alpha$|canary$|dev$|sha\d|npm$|workspace$|file$|link$)/i.test(name)

/** The places of a text, in order, none overlapping another. */
const placesIn = (
  text: string,
  { homes, kinds, loose, strict, taken }: Places,
  { kindOf, learned }: Pseudonyms,
  learns: boolean
): ReadonlyArray<Place> => {
  const claimed = new Uint8Array(text.length)
  const places: Array<Place> = []
  const claim = (kind: Place["kind"], name: string, start: number) => {
    const end = start + name.length
    if (name === "" || claimed[start] === 1 || claimed[end - 1] === 1 || claimed.subarray(start, end).includes(1)) {
      return
    }
    claimed.fill(1, start, end)
    places.push({ kind, name, start, end })
  }
  const user = (name: string, start: number) => {
    if (name !== "" && !nobody.has(name.toLowerCase())) claim(kinds.get(name.toLowerCase()) ?? "user", name, start)
  }
  const host = (given: string, start: number) => {
    const name = given.replace(/^\[|\]$/g, "")
    const from = start + (given.startsWith("[") ? 1 : 0)
    const key = name.toLowerCase()
    if (isLoopback(name) || isPublic(key)) return claim("kept", name, from)
    if (!nobody.has(key)) claim(kinds.get(key) ?? kindOfHost(name), name, from)
  }
  const each = (pattern: RegExp | undefined, take: (match: RegExpExecArray) => void) => {
    if (pattern !== undefined) eachMatch(pattern, text, take)
  }
  for (let index = text.indexOf(marker); index !== -1; index = text.indexOf(marker, index + 1)) {
    claim("kept", marker, index)
  }
  each(pseudonym, ({ 0: name, index }) => {
    if (!taken.has(name.toLowerCase())) claim("kept", name, index)
  })
  each(homes, ({ 0: name, index }) => claim("home", name, index))
  each(text.includes(".") ? homeMark : undefined, ({ index }) => {
    const path = pathBefore(text, index)
    if (path !== undefined) claim("home", path, index - path.length)
  })
  each(loose, ({ 0: name, index }) => claim(kinds.get(name.toLowerCase()) ?? "host", name, index))
  each(learns ? learned() : undefined, ({ 0: name, index }) => claim(kindOf(name) ?? "host", name, index))
  each(text.includes(":") ? afterScheme : undefined, ({ 0: slashes, index }) => {
    authority.lastIndex = index + slashes.length
    const match = authority.exec(text)
    if (match === null || !/[a-z]/i.test(text.charAt(index - 1))) return
    const [all, name = "", , place = ""] = match
    user(name, match.index)
    if (!/file$/i.test(text.slice(Math.max(0, index - 4), index))) host(place, match.index + all.length - place.length)
  })
  for (const pattern of userPlaces) {
    each(pattern, ({ 1: before = "", 2: name = "", index }) => user(name, index + before.length))
  }
  for (const pattern of hostPlaces) {
    each(pattern, ({ 1: before = "", 2: name = "", index }) => host(name, index + before.length))
  }
  each(text.includes("@") ? at : undefined, ({ 1: name = "", 2: authority = "", index }) => {
    if (isVersion(authority) || vendors.has(authority.toLowerCase())) return
    user(name, index)
    host(authority, index + name.length + 1)
  })
  each(text.includes(".") ? ipv4 : undefined, ({ 0: name, index }) => {
    if (isIpv4(name)) host(name, index)
  })
  each(text.includes(":") ? ipv6 : undefined, ({ 0: name, index }) => {
    if (isIpv6(name)) host(name, index)
  })
  each(text.includes(".") ? domain : undefined, ({ 0: name, index }) => host(name, index))
  each(strict, ({ 0: name, index }) => claim(kinds.get(name.toLowerCase()) ?? "host", name, index))
  return places.sort((a, b) => a.start - b.start)
}

/**
 * The text with pseudonyms. With `learns`, names that were found by where they
 * stood, in whatever text, are recognised anywhere in this one.
 */
export const replacePlaces = (text: string, places: Places, names: Pseudonyms, learns: boolean): string => {
  const kind = places.kinds.get(text.toLowerCase())
  if (kind !== undefined) return names.of(kind, text)
  let from = 0
  let result = ""
  for (const { end, kind, name, start } of placesIn(text, places, names, learns)) {
    if (kind === "kept") continue
    result += text.slice(from, start) + (kind === "home" ? "~" : names.of(kind, name))
    from = end
  }
  return result + text.slice(from)
}
