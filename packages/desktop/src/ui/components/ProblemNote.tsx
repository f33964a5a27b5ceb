/** Why something did not work, beside what was tried. */
import { type JSX, Show } from "solid-js"
import type { Problem } from "../Problem.ts"
import { failure } from "../Strings.ts"
import { Command, Foreign } from "./Controls.tsx"
import { Icon } from "./Icon.tsx"

export const ProblemNote = (props: { readonly problem: Problem; readonly title?: string }): JSX.Element => (
  <div class="oc-note" data-tone="bad" role="alert">
    <Icon name="warning" />
    <div class="oc-note-body">
      <Show when={props.title}>
        <p class="oc-strong">{props.title}</p>
      </Show>
      <p>
        <Foreign>{props.problem.message}</Foreign>
      </p>
      <Show when={props.problem.remedy}>
        <p class="oc-weak">
          <Foreign>{props.problem.remedy}</Foreign>
        </p>
      </Show>
      <Show when={props.problem.command}>
        {(command) => <Command text={command()} label={failure.command} />}
      </Show>
    </div>
  </div>
)
