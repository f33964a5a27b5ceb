/** How the ssh config is written: files, patterns, conditions, names of files. */
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fails } from "../lab/Scenario.ts"
import type { Entry, Group, Place } from "./Entry.ts"

/** Lines of a `Match` block in front. */
const match = (condition: string, ...lines: ReadonlyArray<string>): ReadonlyArray<string> => [
  `Match ${condition}`,
  ...lines.map((line) => `  ${line}`)
]

/** The key that `box` accepts, under another name. */
const keyAs = (name: string) => (place: Place) =>
  Effect.sync(() => {
    const file = place.fill(`{dir}/${name}`)
    Fs.mkdirSync(Path.dirname(file), { recursive: true })
    Fs.copyFileSync(place.fill("{key}"), file)
    Fs.chmodSync(file, 0o600)
  })

const text: ReadonlyArray<Entry> = [
  {
    name: "include-glob",
    about: "The hosts are in files of a directory.",
    before: ["Include {ssh}/conf.d/*.conf"],
    sshFiles: {
      "conf.d/10-first.conf": "Host nobody\n  Port 1\n",
      "conf.d/20-second.conf": "Host box\n  User {user}\n"
    },
    box: ["User wrong"],
    expected: "Connected"
  },
  {
    name: "include-missing",
    about: "Included files do not exist.",
    before: ["Include {ssh}/missing", "Include {ssh}/missing.d/*", "Include ~/.lab-missing/config"],
    expected: "Connected"
  },
  {
    name: "include-in-a-block",
    about: "A host's block includes a file that ends in another host's block.",
    box: ["Include {ssh}/common"],
    sshFiles: { common: "ServerAliveInterval 99\nHost other\n  Port 1\n  User wrong\n" },
    expected: "Connected"
  },
  {
    name: "include-itself",
    about: "The ssh config includes itself.",
    before: ["Include {ssh}/config"],
    expected: fails("ConfigurationError", "SshConfigInvalid", "final")
  },
  {
    name: "windows-lines",
    about: "The lines end as on Windows.",
    rewrite: (config) => config.replaceAll("\n", "\r\n"),
    expected: "Connected"
  },
  {
    name: "no-last-newline",
    about: "The last line has no end.",
    after: ["Host box"],
    rewrite: (config) => config.trimEnd(),
    expected: "Connected"
  },
  {
    name: "other-syntax",
    about: "Tabs, equals signs, capitals, quotes and comments.",
    rewrite: (config) =>
      config.replaceAll(/^ {2}(\w+) (.*)$/gm, "\t$1\t=\t$2").replaceAll("HostName", "HOSTNAME").replace(
        "Host box",
        "# a comment\n\n   HOST=\"box\""
      ),
    expected: "Connected"
  },
  {
    name: "byte-order-mark",
    about: "The file begins with a byte order mark, which ssh does not know.",
    rewrite: (config) => `\uFEFF${config.trimStart()}`,
    expected: fails("ConfigurationError", "SshConfigInvalid", "final", { configLine: 1 })
  },
  {
    name: "long-config",
    about: "Two thousand hosts.",
    before: Array.from({ length: 2000 }, (_, index) => `Host host-${index}\n  HostName 192.0.2.1\n  User u${index}`),
    expected: "Connected"
  },
  {
    name: "unknown-words",
    about: "Keywords of another system that this ssh is told to ignore.",
    box: ["IgnoreUnknown UseKeychain,AddKeysTo*", "UseKeychain yes", "AddKeysToKeychain yes"],
    expected: "Connected"
  },
  {
    name: "deprecated-words",
    about: "Keywords that ssh has given up.",
    box: ["UseRoaming no", "Protocol 2", "RSAAuthentication yes", "Cipher 3des", "UsePrivilegedPort yes"],
    expected: "Connected"
  },
  {
    name: "patterns",
    about: "The block is for a pattern, and an earlier one takes it out.",
    before: ["Host !box *", "  Port 1", "  User wrong", "Host b?x", "  ConnectTimeout 9"],
    expected: "Connected"
  }
]

const conditions: ReadonlyArray<Entry> = [
  {
    name: "match-exec",
    about: "A command decides, and gets host, user and port.",
    before: [
      ...match("exec \"echo %n %h %p %r >{dir}/asked\"", "ConnectTimeout 9"),
      ...match("exec \"exit 1\"", "Port 1")
    ],
    leaves: ["asked"],
    expected: "Connected"
  },
  {
    name: "match-exec-reads",
    about: "A command of the config reads its stdin, and leaves something running for a while.",
    before: match("exec \"cat; sleep 1 & exit 0\"", "ConnectTimeout 9"),
    expected: "Connected"
  },
  {
    name: "match-final",
    about: "The config is read a second time, and turns everything round.",
    before: match(
      "final",
      "BatchMode no",
      "RequestTTY force",
      "RemoteCommand touch {dir}/remote",
      "SessionType none",
      "ForkAfterAuthentication yes",
      "ControlMaster auto",
      "ControlPath {dir}/%C",
      "LogLevel QUIET",
      "PermitLocalCommand yes",
      "LocalCommand touch {dir}/local"
    ),
    expected: "Connected"
  },
  {
    name: "match-others",
    about: "Conditions by original host, user and this machine's user.",
    before: [
      ...match("originalhost box localuser *", "ConnectTimeout 9"),
      ...match("user nobody-here", "Port 1"),
      ...match("host box !localuser *", "Port 1")
    ],
    expected: "Connected"
  },
  {
    name: "canonicalize-host-name",
    about: "Names are made canonical, and then the config is read again.",
    before: ["CanonicalizeHostname always", "CanonicalDomains invalid", "CanonicalizeFallbackLocal yes"],
    after: match("canonical", "ConnectTimeout 9", "RequestTTY force", "SessionType none"),
    expected: "Connected"
  }
]

const paths: ReadonlyArray<Entry> = [
  {
    name: "tokens-in-paths",
    about: "The key's path is made of tokens.",
    box: ["IdentityFile {dir}/%n-%p/%r"],
    identityFile: false,
    prepare: (place) => keyAs(place.fill("box-{port}/{user}"))(place),
    expected: "Connected"
  },
  {
    name: "variables-in-paths",
    about: "The key's path has variables of the environment.",
    box: ["IdentityFile ${LAB_KEYS}/id"],
    identityFile: false,
    environment: { LAB_KEYS: "{dir}" },
    prepare: keyAs("id"),
    expected: "Connected"
  },
  {
    name: "spaces-in-paths",
    about: "ssh config, known_hosts and key have spaces and quotes in their paths.",
    directoryName: "it's \"my\" $(touch here) %h ssh",
    box: ["IdentityFile \"{dir}/my own key\""],
    identityFile: false,
    prepare: keyAs("my own key"),
    expected: "Connected",
    // A `%` in the path of known_hosts would be a token.
    rewrite: (config) => config.replaceAll("%h ssh", "%%h ssh")
  },
  {
    name: "letters-in-paths",
    about: "ssh config, known_hosts and key have letters of many languages in their paths.",
    directoryName: "Schlüssel 服务器 ключи",
    box: ["IdentityFile {dir}/ключ-钥匙-ü"],
    identityFile: false,
    prepare: keyAs("ключ-钥匙-ü"),
    expected: "Connected"
  }
]

export const groups: ReadonlyArray<Group> = [
  { title: "Text of the ssh config", entries: text },
  { title: "Conditions", entries: conditions },
  { title: "Paths", entries: paths }
]
