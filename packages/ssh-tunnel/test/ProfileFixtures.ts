/** Profiles and profile files for tests. */
import { Schema } from "effect"
import { Profile, ProfileId } from "../src/Profile.ts"

/** A small valid profile. */
export const profile = (id: string, fields: Partial<Omit<typeof Profile.Encoded, "id">> = {}): Profile =>
  Schema.decodeSync(Profile)({
    id,
    name: `The ${id}`,
    host: "box",
    bootstrap: { enabled: false, lifetime: "persistent" },
    ...fields
  })

export const profileId = (id: string): ProfileId => ProfileId.make(id)

/** Plain JSON data, equal to what a file would give back. */
export const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** Narrower than `Host` and the like, because values of `\p{…}` patterns cannot be generated. */
const word = (pattern: RegExp) => Schema.String.check(Schema.isPattern(pattern))
const port = Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65535 }))

/** The fields of an arbitrary valid profile, as in a file. */
export const ProfileFields = Schema.Struct({
  id: word(/^[A-Za-z0-9][A-Za-z0-9._-]{0,20}$/),
  name: word(/^[a-z ü.]{1,20}$/),
  host: word(/^[a-z0-9_][a-z0-9._-]{0,30}$/),
  user: Schema.optionalKey(word(/^[a-z][a-z0-9._@+-]{0,20}$/)),
  port: Schema.optionalKey(port),
  identityFile: Schema.optionalKey(word(/^(~|\/[a-z ]{1,8})\/[a-z %.]{1,8}$/)),
  proxyJump: Schema.optionalKey(Schema.Literals(["none", "jump", "u@jump:2222,other"])),
  sshConfig: Schema.optionalKey(Schema.Literals(["none", "/etc/ssh/other"])),
  strategy: Schema.optionalKey(Schema.Literals(["auto", "master", "plain"])),
  remotePort: Schema.optionalKey(port),
  localPort: Schema.optionalKey(port),
  bootstrap: Schema.Struct({
    enabled: Schema.Boolean,
    port: Schema.optionalKey(port),
    lifetime: Schema.Literals(["persistent", "session"])
  }),
  versionRange: Schema.optionalKey(Schema.Literals([">=1.0.0 <2.0.0", "*"])),
  username: Schema.optionalKey(word(/^[a-z ü]{1,20}$/))
})

/** Fields that no version of the format knows. */
export const UnknownFields = Schema.Record(
  Schema.Union([Schema.Literals(["x-note", "__proto__", "constructor", "1", "futureField"]), word(/^[ -~]{6}$/)]),
  Schema.Json
)

/** A whole file: valid profiles with unknown fields on two levels, between entries that are no profiles. */
export const ProfileFileData = Schema.Struct({
  unknown: UnknownFields,
  entries: Schema.Array(Schema.Union([
    Schema.Struct({ fields: ProfileFields, unknown: UnknownFields, inBootstrap: UnknownFields }),
    Schema.Struct({ garbage: Schema.Json })
  ])).check(Schema.isMaxLength(6))
})

/** The file that {@link ProfileFileData} describes, as plain data. */
export const fileOf = ({ entries, unknown }: typeof ProfileFileData.Type) =>
  plain({
    ...unknown,
    version: 1,
    profiles: entries.map((entry) =>
      "garbage" in entry
        ? entry.garbage
        : {
          ...entry.unknown,
          ...entry.fields,
          bootstrap: { ...entry.inBootstrap, ...entry.fields.bootstrap }
        }
    )
  }) as { readonly version: 1; readonly profiles: ReadonlyArray<unknown>; readonly [key: string]: unknown }
