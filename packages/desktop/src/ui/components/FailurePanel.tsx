/** Why a connection failed and what to do. The picture of the path above it says where. */
import { type ConnectionError, describe } from "@opencode-ai/ssh-tunnel/ConnectionError"
import { type JSX, Show } from "solid-js"
import { failure } from "../Strings.ts"
import { Button, Command, type Fact, Facts, Fold, Foreign } from "./Controls.tsx"
import { Icon } from "./Icon.tsx"

/** A host key that changed or was revoked: nothing here may look like a way around it. */
export const isDanger = (error: ConnectionError): boolean =>
  error.reason._tag === "HostKeyChanged" || error.reason._tag === "HostKeyRevoked"

const shown = (value: unknown): string =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : JSON.stringify(value)

/** The reason's own fields, for those who want to know exactly. */
const technical = (error: ConnectionError): ReadonlyArray<Fact> => {
  const { reason } = describe(error)
  const fields = Object.entries(reason).filter(([key, value]) => key !== "_tag" && value !== undefined)
  return [
    { label: failure.reason, value: <span class="oc-mono">{`${error._tag} / ${error.reason._tag}`}</span> },
    { label: failure.retryable, value: error.retryable ? failure.yes : failure.no },
    ...fields.map(([key, value]) => ({
      label: key,
      value: <bdi class="oc-mono oc-pre">{shown(value)}</bdi>
    }))
  ]
}

export const FailurePanel = (
  props: { readonly error: ConnectionError; readonly action?: { readonly label: string; readonly act: () => void } }
): JSX.Element => (
  <section class="oc-failure" data-danger={isDanger(props.error)} aria-label={failure.what}>
    <div class="oc-failure-head">
      <Icon name={isDanger(props.error) ? "danger" : "warning"} />
      <div>
        <Show when={isDanger(props.error)}>
          <p class="oc-danger-word">{failure.danger}</p>
        </Show>
        <p class="oc-failure-what">
          <Foreign>{props.error.message}</Foreign>
        </p>
      </div>
    </div>
    <div class="oc-failure-todo">
      <h3 class="oc-small-title">{failure.todo}</h3>
      <Show
        when={isDanger(props.error)}
        fallback={
          <>
            <p>
              <Foreign>{props.error.remedy.text}</Foreign>
            </p>
            <Show when={props.error.remedy.command}>
              {(command) => <Command text={command()} label={failure.command} />}
            </Show>
            <Show when={props.action}>
              {(action) => <Button kind="primary" icon="retry" onClick={() => action().act()}>{action().label}</Button>}
            </Show>
          </>
        }
      >
        <p>{failure.dangerText}</p>
        {/* Folded and without a button: it has to be read, and typed or selected by hand. */}
        <Show
          when={props.error.remedy.command}
          fallback={
            <p>
              <Foreign>{props.error.remedy.text}</Foreign>
            </p>
          }
        >
          {(command) => (
            <Fold title={failure.confirmed}>
              <p>
                <Foreign>{props.error.remedy.text}</Foreign>
              </p>
              <code class="oc-command-text" tabindex="0" role="group" aria-label={failure.command}>{command()}</code>
            </Fold>
          )}
        </Show>
      </Show>
    </div>
    <Fold title={failure.details}>
      <Facts facts={technical(props.error)} />
    </Fold>
  </section>
)
