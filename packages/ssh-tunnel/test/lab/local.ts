/** This machine: the ssh program, its configuration, the runtime directory and the profiles. */
import * as FakeSsh from "@opencode-ai/ssh-lab/FakeSsh"
import { LabError } from "@opencode-ai/ssh-lab/LabError"
import * as TempDirectory from "@opencode-ai/ssh-lab/TempDirectory"
import { Context, Duration, Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { Connections } from "../../src/Connections.ts"
import { LocalHost } from "../../src/LocalHost.ts"
import { layerPlatform } from "../../src/node/index.ts"
import { ProfileId } from "../../src/Profile.ts"
import { profileFileName, ProfileRepo } from "../../src/ProfileRepo.ts"
import { RuntimeDirectory } from "../../src/RuntimeDirectory.ts"
import { box, boxWith, files, host } from "./places.ts"
import type * as Product from "./Product.ts"
import { fails, type Failure, type Group, type Scenario, type Situation } from "./Scenario.ts"
import { replayed } from "./transcript.ts"

/** With another program instead of ssh. */
const withSsh = (path: string): Situation => ({
  profile: { host: "box" },
  environment: { OPENCODE_SSH_BINARY: path },
  names: [[path, "/opt/ssh"]]
})

/** An ssh config that ssh refuses. */
const broken = (
  name: string,
  about: string,
  expected: { readonly configLine?: number },
  config: string,
  extra: Parameters<typeof files>[1] = {}
): Scenario => ({
  name,
  about,
  expected: fails("ConfigurationError", "SshConfigInvalid", "final", expected),
  setUp: Effect.map(files(config, extra), ({ situation }) => situation)
})

/** What has been written to the profile file before the product looks. */
const withProfiles = (text: string): Effect.Effect<Situation> =>
  Effect.succeed({
    profile: { host: "box" },
    before: ({ dataDirectory }) =>
      Effect.sync(() => {
        Fs.mkdirSync(dataDirectory, { mode: 0o700 })
        Fs.writeFileSync(Path.join(dataDirectory, profileFileName), text, { mode: 0o600 })
      }),
    ask: connectSaved
  })

/** Connects a profile that is there already, or not. */
const connectSaved = ({ services }: Product.Product) => {
  const connections = Context.get(services, Connections)
  const id = ProfileId.make("box")
  return Effect.andThen(connections.connect(id), connections.settled(id))
}

/** What ssh prints in another version or language. */
const otherwise = (name: string, about: string, transcript: string, expected: Failure): Scenario => ({
  name,
  about,
  expected,
  origin: "transcript",
  setUp: replayed(transcript)
})

/** This process holds the lock of the profile file. */
const lockProfiles = (directory: string) =>
  Effect.map(LocalHost, ({ self }) => {
    const lock = Path.join(directory, `${profileFileName}.lock`)
    Fs.mkdirSync(lock, { recursive: true, mode: 0o700 })
    Fs.writeFileSync(Path.join(lock, `${self.pid}-0123456789abcdef`), JSON.stringify(self))
  }).pipe(Effect.provide(layerPlatform))

export const local: Group = {
  title: "This machine",
  scenarios: [
    {
      name: "ssh-missing",
      about: "There is no ssh program.",
      expected: fails("ConfigurationError", "SshNotFound", "final"),
      setUp: Effect.succeed(withSsh("/no/such/ssh"))
    },
    {
      name: "ssh-not-executable",
      about: "The ssh program is not executable.",
      expected: fails("ConfigurationError", "SshNotFound", "final"),
      setUp: Effect.map(FakeSsh.make(), (path) => {
        Fs.chmodSync(path, 0o644)
        return withSsh(path)
      })
    },
    {
      name: "ssh-is-something-else",
      about: "The program that is called ssh is not OpenSSH.",
      expected: fails("ConfigurationError", "SshNotFound", "final"),
      setUp: Effect.map(FakeSsh.make({ version: "dbclient v2022.83" }), withSsh)
    },
    {
      name: "ssh-too-old",
      about: "ssh is OpenSSH 6.6.",
      expected: fails("ConfigurationError", "SshTooOld", "final"),
      setUp: Effect.map(FakeSsh.make({ version: "OpenSSH_6.6.1p1, OpenSSL 1.0.1f 6 Jan 2014" }), withSsh)
    },
    broken(
      "ssh-config-unknown-keyword",
      "The ssh config has a keyword that ssh does not know.",
      { configLine: 2 },
      host("box", "Foobar yes")
    ),
    broken(
      "ssh-config-bad-value",
      "The ssh config gives a port that is no number.",
      { configLine: 3 },
      host("box", "HostName 127.0.0.1", "Port abc")
    ),
    {
      name: "ssh-config-included-file-broken",
      about: "A file that the ssh config includes has a keyword that ssh does not know.",
      expected: fails("ConfigurationError", "SshConfigInvalid", "final", { configLine: 2 }),
      setUp: Effect.gen(function*() {
        const directory = yield* TempDirectory.make()
        const included = Path.join(directory, "work")
        Fs.writeFileSync(included, `${host("box", "Foobar yes")}\n`)
        const { situation } = yield* files(`Include ${included}`)
        return { ...situation, names: [[directory, "~/.ssh"], ...situation.names ?? []] }
      })
    },
    {
      name: "ssh-config-missing",
      about: "The profile names an ssh config that does not exist.",
      expected: fails("ConfigurationError", "SshConfigInvalid", "final", { detail: "No such file or directory" }),
      setUp: Effect.succeed({ profile: { host: "box", sshConfig: "/no/such/config" } })
    },
    {
      name: "ssh-config-writable-by-others",
      about: "Everybody may write the ssh config.",
      expected: fails("ConfigurationError", "SshConfigInvalid", "final", { detail: "Bad owner or permissions" }),
      setUp: Effect.gen(function*() {
        const directory = yield* TempDirectory.make()
        const config = Path.join(directory, "config")
        Fs.writeFileSync(config, `${host("box", "HostName 127.0.0.1")}\n`)
        Fs.chmodSync(config, 0o666)
        return { profile: { host: "box", sshConfig: config }, names: [[directory, "~/.ssh"]] }
      })
    },
    broken(
      "ssh-config-jump-loop",
      "The ssh config sends a host through itself.",
      {},
      host("box", "ProxyJump box")
    ),
    broken(
      "ssh-config-jump-hosts-loop",
      "The ssh config sends two jump hosts through each other, for which ssh would start one ssh after the other.",
      {},
      `${host("box", "ProxyJump other")}\n${host("other", "ProxyJump box")}`
    ),
    {
      name: "ssh-config-hangs",
      about: "A `Match exec` command of the ssh config does not end (limit shortened).",
      expected: fails("TransportError", "AuthenticationTimedOut", "retried"),
      setUp: Effect.map(files("Match exec \"sleep 30\"\n  User nobody"), ({ situation }) => ({
        ...situation,
        timing: { query: Duration.millis(500), deadline: Duration.seconds(1) }
      }))
    },
    {
      name: "runtime-directory-unwritable",
      about: "Something else stands where a file must be written in the directory for ssh's sockets.",
      expected: fails("ConfigurationError", "RuntimeDirectoryUnusable", "final"),
      setUp: boxWith({}, () => ({
        before: ({ services }) =>
          Effect.gen(function*() {
            const directory = Context.get(services, RuntimeDirectory)
            const path = yield* directory.path
            const [, next = ""] = /^(?:config-)(\d+)$/.exec(yield* directory.fresh("config-")) ?? []
            for (let n = 1; n <= 9; n++) Fs.mkdirSync(Path.join(path, `config-${Number(next) + n}`))
          }).pipe(Effect.mapError((cause) => new LabError({ message: "there is no runtime directory", cause })))
      }))
    },
    {
      name: "profile-missing",
      about: "There is no profile of this name.",
      expected: fails("ConfigurationError", "ProfileNotFound", "final"),
      setUp: Effect.succeed({ profile: { host: "box" }, ask: connectSaved })
    },
    {
      name: "profile-invalid",
      about: "Somebody has written an option of ssh into the profile's host.",
      expected: fails("ConfigurationError", "InvalidProfile", "final"),
      setUp: withProfiles(JSON.stringify({
        version: 1,
        profiles: [{
          id: "box",
          name: "Box",
          host: "-oProxyCommand=touch pwned",
          bootstrap: { enabled: false, lifetime: "persistent" }
        }]
      }))
    },
    {
      name: "profile-version-range-invalid",
      about: "The profile's version range cannot be read, and OpenCode is to be started.",
      expected: fails("ConfigurationError", "InvalidProfile", "final"),
      setUp: Effect.map(box({ remotePort: 1 }), ({ situation }) => ({
        ...situation,
        profile: {
          ...situation.profile,
          versionRange: "newest please",
          bootstrap: { enabled: true, lifetime: "persistent" }
        }
      }))
    },
    {
      name: "profiles-corrupt",
      about: "The profile file is damaged.",
      expected: fails("ConfigurationError", "ProfileStoreUnreadable", "final"),
      setUp: withProfiles("{ \"version\": 1, \"profiles\": [")
    },
    {
      name: "profiles-not-a-file",
      about: "There is a directory where the profile file should be.",
      expected: fails("ConfigurationError", "ProfileStoreUnreadable", "final"),
      setUp: Effect.succeed({
        profile: { host: "box" },
        before: ({ dataDirectory }) =>
          Effect.sync(() => void Fs.mkdirSync(Path.join(dataDirectory, profileFileName), { recursive: true })),
        ask: connectSaved
      })
    },
    {
      name: "profiles-of-a-later-version",
      about: "The profile file was written by a later version of the app, and a profile is to be saved.",
      expected: fails("ConfigurationError", "ProfileStoreUnwritable", "final"),
      setUp: Effect.map(withProfiles("{ \"version\": 99, \"profiles\": [] }"), (situation) => ({
        ...situation,
        ask: ({ services }, profile) => Context.get(services, ProfileRepo).save(profile)
      }))
    },
    {
      name: "profiles-directory-unwritable",
      about: "The data directory cannot be made: there is a file of that name.",
      expected: fails("ConfigurationError", "ProfileStoreUnwritable", "final"),
      setUp: Effect.succeed({
        profile: { host: "box" },
        before: ({ dataDirectory }) => Effect.sync(() => Fs.writeFileSync(dataDirectory, ""))
      })
    },
    {
      name: "profiles-locked",
      about: "Another program holds the lock of the profile file (wait shortened).",
      expected: fails("ConfigurationError", "ProfileStoreUnwritable", "final"),
      setUp: Effect.succeed({
        profile: { host: "box" },
        before: ({ dataDirectory }) => lockProfiles(dataDirectory),
        timing: { fileLock: Duration.millis(500) },
        names: [[process.pid, "PID"]]
      })
    }
  ]
}

export const otherSsh: Group = {
  title: "ssh of other versions and languages",
  scenarios: [
    otherwise(
      "localised-network-error",
      "ssh's libc speaks another language: the text is kept, and nothing is guessed.",
      "source-localised",
      fails("TransportError", "Unclassified", "retried")
    ),
    otherwise(
      "localised-denial",
      "A server's words in another language in a login that failed.",
      "source-localised-denied",
      fails("TransportError", "Unclassified", "retried")
    ),
    otherwise(
      "unknown-network-error",
      "An error of the network that no rule knows.",
      "source-unknown-connect-error",
      fails("TransportError", "Unclassified", "retried")
    ),
    otherwise(
      "other-ssh-client",
      "Another program than OpenSSH that calls itself so.",
      "source-other-client",
      fails("TransportError", "Unclassified", "retried")
    ),
    otherwise(
      "macos-name-not-found",
      "The host's name does not exist, on macOS.",
      "source-macos-name-not-found",
      fails("TransportError", "HostNameNotResolved", "retried")
    ),
    otherwise(
      "macos-timed-out",
      "Nobody answers, on macOS.",
      "source-macos-timed-out",
      fails("TransportError", "ConnectionTimedOut", "retried", { phase: "connect" })
    ),
    otherwise(
      "openssh-7.3-key-refused",
      "The account does not know the key, with OpenSSH 7.3.",
      "source-7.3-key-refused",
      fails("TransportError", "AuthenticationFailed", "final", { offered: 1 })
    ),
    otherwise(
      "openssh-7.3-key-with-passphrase",
      "The key is locked with a passphrase, with OpenSSH 7.3.",
      "source-7.3-key-locked",
      fails("TransportError", "InteractionRequired", "final", { what: "passphrase" })
    ),
    otherwise(
      "openssh-8.2-host-key-changed",
      "known_hosts has another key of the host, with OpenSSH 8.2.",
      "source-8.2-host-key-changed",
      fails("TransportError", "HostKeyChanged", "final")
    ),
    otherwise(
      "openssh-10.2-key-refused",
      "The account does not know the key, with OpenSSH 10.2.",
      "source-10.2-key-refused",
      fails("TransportError", "AuthenticationFailed", "final", { offered: 1 })
    )
  ]
}
