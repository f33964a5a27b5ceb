/** The OpenCode server's password as the command line takes it: from the environment, never from an argument. */
import { Credentials, defaultUsername } from "@opencode-ai/ssh-tunnel/Credentials"
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { Config, Effect, Option, Redacted } from "effect"

/** The variables by which OpenCode itself takes its user name and password; `-- CMD` gets them, too. */
export const variables = {
  url: "OPENCODE_SERVER_URL",
  username: "OPENCODE_SERVER_USERNAME",
  password: "OPENCODE_SERVER_PASSWORD"
} as const

/**
 * `OPENCODE_SERVER_PASSWORD` with the profile's user name, else
 * `OPENCODE_SERVER_USERNAME`, else `opencode`. `None` without a password.
 */
export const environmentCredentials = (profile: Profile): Effect.Effect<Option.Option<Credentials>> =>
  Effect.orDie(Effect.gen(function*() {
    const password = yield* Config.option(Config.Redacted(variables.password))
    const username = yield* Config.option(Config.String(variables.username))
    return password.pipe(
      Option.filter((value) => Redacted.value(value) !== ""),
      Option.map((password) =>
        new Credentials({
          username: profile.username ??
            Option.getOrElse(Option.filter(username, (value) => value !== ""), () => defaultUsername),
          password
        })
      )
    )
  }))
