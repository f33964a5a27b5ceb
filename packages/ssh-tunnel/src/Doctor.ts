/** Walks the way of a connection step by step, as a person would who looks for a fault. */
import { Context, Effect, Layer, Queue, Stream } from "effect"
import type { Credentials } from "./Credentials.ts"
import type { Discovery } from "./Discovery.ts"
import type { DoctorStep } from "./DoctorStep.ts"
import * as DoctorExamination from "./internal/doctorExamination.ts"
import * as DoctorWalk from "./internal/doctorWalk.ts"
import type { LocalHost } from "./LocalHost.ts"
import type { OpenSsh } from "./OpenSsh.ts"
import type { Profile } from "./Profile.ts"
import type { SshConfig } from "./SshConfig.ts"
import type { Tunnel } from "./Tunnel.ts"

/**
 * See the module.
 *
 * **Details**
 *
 * Everything up to the login is told by the log of one ssh, so that it also
 * holds behind jump hosts: there, a step is about the whole chain, and its
 * detail names who. A server that connecting would have to start is looked
 * for, but not started.
 *
 * The remote steps are `failed` only when a connection needs them: without an
 * `opencode` over there a server that runs can still be used, which is a
 * warning. With bootstrap allowed and no server running, `server` is `skipped`
 * and says what connecting would start.
 *
 * **Gotchas**
 *
 * - Nothing is changed on either side: no server, no registration, no
 *   known_hosts, no remembered port. The login shell over there is started as
 *   for any login, and its start-up files do what they do.
 * - It logs in once. With the `plain` strategy every forward and command logs
 *   in by itself: two or three times.
 * - A stream that is not read to its end leaves a script over there that goes on
 *   for at most half a minute, and then removes what it made.
 * - `ssh -G` and the connection run the `Match exec` of the user's ssh config.
 */
export class Doctor extends Context.Service<Doctor, {
  /**
   * Examines the way to a profile's server: every step of {@link StepId}, in
   * order and each once, as soon as it is decided. Failures are steps. The
   * connection is closed before the stream ends.
   */
  readonly examine: (profile: Profile, credentials?: Credentials) => Stream.Stream<DoctorStep>
}>()("@opencode-ai/ssh-tunnel/Doctor") {
  static readonly layerMock = (service: Partial<Doctor["Service"]>): Layer.Layer<Doctor> => Layer.mock(Doctor, service)

  /** Needs OpenSsh, SshConfig, Tunnel, Discovery and LocalHost. */
  static readonly layerNoDeps: Layer.Layer<Doctor, never, OpenSsh | SshConfig | Tunnel | Discovery | LocalHost> = Layer
    .effect(
      Doctor,
      Effect.gen(function*() {
        const run = yield* DoctorExamination.make
        return Doctor.of({
          examine: (profile, credentials) =>
            Stream.callback<DoctorStep>((queue) =>
              DoctorWalk.make(queue).pipe(
                Effect.flatMap((walk) => Effect.scoped(run(walk, profile, credentials))),
                Effect.andThen(Queue.end(queue))
              )
            )
        })
      })
    )
}
