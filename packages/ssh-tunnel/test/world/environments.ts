/** The process that the product runs in: its environment, its umask, its directory. Each is a process of its own. */
import { assert } from "@effect/vitest"
import { LabError } from "@opencode-ai/ssh-lab/LabError"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fails } from "../lab/Scenario.ts"
import type { Connected, Entry, Group } from "./Entry.ts"

const run = "opencode-ssh-run-"

/** The runtime directory is in this directory, which is a name. */
const runsIn = (base: string) => ({ fill }: Connected) =>
  Effect.sync(() => {
    const found = Fs.readdirSync(fill(base)).filter((name) => name.startsWith(run))
    assert.strictEqual(found.length, 1, `the runtime directory is in ${base}`)
    assert.strictEqual(Fs.statSync(Path.join(fill(base), found[0] ?? "")).mode & 0o777, 0o700)
  })

/** A directory, and what is in it then. */
const directory = (name: string, mode = 0o700) => ({ fill }: { readonly fill: (text: string) => string }) =>
  Effect.try({
    try: () => {
      Fs.mkdirSync(fill(`{dir}/${name}`), { recursive: true })
      Fs.chmodSync(fill(`{dir}/${name}`), mode)
      return {}
    },
    catch: (cause) => new LabError({ message: name, cause })
  })

const entry = (name: string, about: string, environment: Entry["environment"], more: Partial<Entry> = {}): Entry => ({
  name,
  about,
  environment: environment ?? {},
  program: {},
  expected: "Connected",
  ...more
})

const long = "a-long-name/".repeat(12)

/**
 * What others could read of a directory's files; `undefined` when one went while it was looked at, as a lock does.
 * Directories on the way to them may be for all; that is the user's choice.
 */
const openFiles = (directory: string): ReadonlyArray<string> | undefined => {
  try {
    return Fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) => {
      const found = Fs.lstatSync(Path.join(directory, name))
      return !found.isDirectory() && (found.mode & 0o077) !== 0
    })
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
}

/** Files of the product, by their ends, and whether others can read them. */
const isPrivate = ({ fill }: Connected) =>
  Effect.sync(() => openFiles(fill("{dir}"))).pipe(
    Effect.repeat({ while: (open) => open === undefined }),
    Effect.map((open) => {
      assert.deepStrictEqual(open, [])
      assert.isTrue(Fs.existsSync(fill("{dir}/data/ssh-profiles.json")))
    })
  )

const ownFiles = { OPENCODE_SSH_DATA_DIR: "{dir}/data", XDG_RUNTIME_DIR: "{dir}" }

const environments: ReadonlyArray<Entry> = [
  entry("home-with-a-space", "HOME has a space, and holds all files of the product.", {
    HOME: "{dir}/my home",
    OPENCODE_SSH_DATA_DIR: undefined,
    XDG_DATA_HOME: undefined
  }, {
    prepare: directory("my home"),
    connected: ({ fill }) =>
      Effect.sync(() => assert.isTrue(Fs.existsSync(fill("{dir}/my home/.local/share/opencode/ssh-profiles.json"))))
  }),
  entry("no-home", "There is no HOME; the data directory is given.", {
    HOME: undefined,
    XDG_CONFIG_HOME: undefined,
    XDG_DATA_HOME: undefined
  }),
  entry("home-missing", "HOME does not exist; the data directory is given.", { HOME: "/nonexistent" }),
  entry("temporary-directory-long", "TMPDIR is longer than a socket's name may be.", {
    XDG_RUNTIME_DIR: undefined,
    TMPDIR: `{dir}/${long}`
  }, { prepare: directory(long), connected: runsIn(`{dir}/${long}`) }),
  entry("temporary-directory-unwritable", "Nobody can write to TMPDIR: another one is found.", {
    XDG_RUNTIME_DIR: undefined,
    TMPDIR: "/proc"
  }, { requires: ["linux"] }),
  entry("temporary-directory-missing", "TMPDIR does not exist: another one is found.", {
    XDG_RUNTIME_DIR: undefined,
    TMPDIR: "{dir}/missing"
  }),
  entry("temporary-directory-relative", "TMPDIR is a relative path.", {
    XDG_RUNTIME_DIR: undefined,
    TMPDIR: "tmp"
  }),
  entry("temporary-directory-hostile", "TMPDIR has spaces, quotes and commands in its name.", {
    XDG_RUNTIME_DIR: undefined,
    TMPDIR: "{dir}/it's $(touch here) \"x\" %h; `touch here`"
  }, {
    prepare: directory("it's $(touch here) \"x\" %h; `touch here`"),
    box: ["ProxyJump jump"],
    jump: [],
    connected: runsIn("{dir}/it's $(touch here) \"x\" %h; `touch here`")
  }),
  entry("temporary-directory-of-all", "Everybody may replace what is in TMPDIR: another one is found.", {
    XDG_RUNTIME_DIR: undefined,
    TMPDIR: "{dir}/shared"
  }, {
    prepare: directory("shared", 0o777),
    connected: ({ fill }) => Effect.sync(() => assert.deepStrictEqual(Fs.readdirSync(fill("{dir}/shared")), []))
  }),
  entry("temporary-directory-sticky", "Everybody may write to TMPDIR, and only replace what is theirs.", {
    XDG_RUNTIME_DIR: undefined,
    TMPDIR: "{dir}/shared"
  }, { prepare: directory("shared", 0o1777), connected: runsIn("{dir}/shared") }),
  entry("runtime-directory-missing", "XDG_RUNTIME_DIR does not exist, as after su: the temporary one is used.", {
    XDG_RUNTIME_DIR: "/nonexistent",
    TMPDIR: "{dir}"
  }, { connected: runsIn("{dir}") }),
  entry("runtime-directory-a-file", "XDG_RUNTIME_DIR is a file.", {
    XDG_RUNTIME_DIR: "{dir}/file",
    TMPDIR: "{dir}"
  }, { files: { file: "" }, connected: runsIn("{dir}") }),
  entry("runtime-directory-relative", "XDG_RUNTIME_DIR is a relative path, which does not count.", {
    XDG_RUNTIME_DIR: ".",
    TMPDIR: "{dir}"
  }, { connected: runsIn("{dir}") }),
  entry("umask-000", "Files are for everybody: the product's are not.", ownFiles, {
    program: { umask: "000" },
    connected: isPrivate,
    leaves: ["data"]
  }),
  entry("umask-077", "Files are for their owner alone.", ownFiles, {
    program: { umask: "077" },
    connected: isPrivate,
    leaves: ["data"]
  }),
  entry("umask-777", "Files are for nobody.", { ...ownFiles, OPENCODE_SSH_DATA_DIR: "{dir}/data" }, {
    program: { umask: "777" },
    prepare: directory("data"),
    box: ["ProxyJump jump"],
    jump: []
  }),
  entry("no-display", "There is no display, no terminal and no language.", {
    DISPLAY: undefined,
    WAYLAND_DISPLAY: undefined,
    TERM: undefined,
    LANG: undefined,
    LC_ALL: undefined,
    SHELL: undefined,
    USER: undefined,
    LOGNAME: undefined
  }, { box: ["ProxyJump jump"], jump: [] }),
  entry("display-and-askpass", "There is a display, and a program that would ask on it.", {
    DISPLAY: ":0",
    WAYLAND_DISPLAY: "wayland-0",
    SSH_ASKPASS: "{dir}/ask",
    SSH_ASKPASS_REQUIRE: "force"
  }, {
    files: { ask: "#!/bin/sh\ntouch {dir}/asked\necho yes\n" },
    known: false,
    box: ["StrictHostKeyChecking ask"],
    expected: fails("TransportError", "HostKeyUnknown", "final")
  }),
  entry("directory-removed", "The directory in which the app was started is gone.", {}, {
    program: { nowhere: true },
    box: ["ProxyJump jump"],
    jump: []
  }),
  entry("no-path", "PATH is empty: there is no ssh.", { PATH: "" }, {
    expected: fails("ConfigurationError", "SshNotFound", "final")
  }),
  entry("path-of-the-system", "PATH is what apps get that are started by a click.", { PATH: "/usr/bin:/bin" }),
  entry("shell-false", "SHELL is a program that does nothing, and nothing needs it.", { SHELL: "/bin/false" })
]

export const groups: ReadonlyArray<Group> = [{ title: "The environment", entries: environments }]
