/** The wizard's second step: what the profile says beyond its host. */
import type { Effective } from "@opencode-ai/desktop-bridge/BridgeApi"
import type { Lifetime } from "@opencode-ai/ssh-tunnel/Profile"
import { createSignal, createUniqueId, For, type JSX, Show } from "solid-js"
import { type Errors, type Field as FieldName, type Form, remotePortPlaceholder } from "../Draft.ts"
import { wizard } from "../Strings.ts"
import { Field } from "./Controls.tsx"
import { EffectivePanel } from "./EffectivePanel.tsx"
import { Switch } from "./Switch.tsx"

const lifetimes: ReadonlyArray<readonly [Lifetime, string, string]> = [
  ["persistent", wizard.persistent, wizard.persistentText],
  ["session", wizard.session, wizard.sessionText]
]

export const OptionsStep = (
  props: {
    readonly form: Form
    readonly errors: Errors
    readonly onChange: (change: Partial<Form>) => void
    readonly editing: boolean
  }
): JSX.Element => {
  const id = createUniqueId()
  const [effective, setEffective] = createSignal<Effective>()
  const text = (field: FieldName) => ({
    value: props.form[field],
    error: props.errors[field],
    onInput: (value: string) => props.onChange({ [field]: value })
  })
  const configured = (value: string | number | undefined) => value === undefined ? wizard.fromConfig : String(value)
  return (
    <div class="oc-step">
      <fieldset class="oc-group">
        <legend class="oc-small-title">{wizard.ssh}</legend>
        <div class="oc-columns">
          <Field label={wizard.host} {...text("host")} autofocus={!props.editing} />
          <Field label={wizard.name} {...text("name")} autofocus={props.editing} />
          <Field label={wizard.user} {...text("user")} placeholder={configured(effective()?.user)} />
          <Field
            label={wizard.port}
            {...text("port")}
            inputMode="numeric"
            placeholder={configured(effective()?.port)}
          />
          <Field label={wizard.identityFile} {...text("identityFile")} placeholder={wizard.identityPlaceholder} />
          <Field
            label={wizard.proxyJump}
            {...text("proxyJump")}
            placeholder={effective()?.proxyJump ?? wizard.proxyJumpPlaceholder}
          />
        </div>
        <Show when={props.form.withoutConfig}>
          <p class="oc-weak oc-small">{wizard.sshConfigNone}</p>
        </Show>
        <EffectivePanel form={props.form} whole onEffective={setEffective} />
      </fieldset>
      <fieldset class="oc-group">
        <legend class="oc-small-title">{wizard.opencode}</legend>
        <Switch
          label={wizard.bootstrap}
          text={wizard.bootstrapText}
          checked={props.form.bootstrap}
          onChange={(bootstrap) => props.onChange({ bootstrap })}
        />
        <div class="oc-lifetimes" role="radiogroup" aria-labelledby={`${id}-lifetime`} data-off={!props.form.bootstrap}>
          <p class="oc-label" id={`${id}-lifetime`}>{wizard.lifetime}</p>
          <For each={lifetimes}>
            {([value, label, explanation]) => (
              <label class="oc-radio">
                <input
                  type="radio"
                  name={`${id}-lifetime`}
                  value={value}
                  checked={props.form.lifetime === value}
                  disabled={!props.form.bootstrap}
                  onChange={() => props.onChange({ lifetime: value })}
                />
                <span>
                  <span class="oc-strong">{label}</span>
                  <span class="oc-weak oc-small oc-block">{explanation}</span>
                </span>
              </label>
            )}
          </For>
        </div>
        <div class="oc-columns">
          <Field
            label={wizard.remotePort}
            {...text("remotePort")}
            inputMode="numeric"
            placeholder={remotePortPlaceholder}
          />
          <Field
            label={wizard.localPort}
            {...text("localPort")}
            inputMode="numeric"
            placeholder={wizard.localPortPlaceholder}
          />
          <Field label={wizard.username} {...text("username")} placeholder="opencode" />
        </div>
      </fieldset>
    </div>
  )
}
