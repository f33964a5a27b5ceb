/** A state by colour, icon and word. */
import type { ConnectionState } from "@opencode-ai/ssh-tunnel/ConnectionState"
import type { JSX } from "solid-js"
import { view } from "../StateView.ts"
import { Icon } from "./Icon.tsx"

export const StatusPill = (props: { readonly state: ConnectionState; readonly quiet?: boolean }): JSX.Element => (
  <span
    class="oc-pill"
    data-tone={view(props.state).tone}
    data-quiet={props.quiet === true}
    data-state={props.state._tag}
  >
    <span class="oc-pill-icon">
      <Icon name={view(props.state).icon} />
    </span>
    {view(props.state).word}
  </span>
)
