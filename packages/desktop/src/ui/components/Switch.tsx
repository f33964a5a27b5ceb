/** On or off, with a sentence about what that means. */
import { Switch as Kobalte } from "@kobalte/core/switch"
import type { JSX } from "solid-js"

export const Switch = (
  props: {
    readonly label: string
    readonly text: string
    readonly checked: boolean
    readonly onChange: (checked: boolean) => void
  }
): JSX.Element => (
  <Kobalte class="oc-switch" checked={props.checked} onChange={props.onChange}>
    <div class="oc-switch-words">
      <Kobalte.Label class="oc-label">{props.label}</Kobalte.Label>
      <Kobalte.Description class="oc-weak oc-small">{props.text}</Kobalte.Description>
    </div>
    <Kobalte.Input class="oc-switch-input" />
    <Kobalte.Control class="oc-switch-control">
      <Kobalte.Thumb class="oc-switch-thumb" />
    </Kobalte.Control>
  </Kobalte>
)
