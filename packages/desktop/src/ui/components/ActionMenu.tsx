/** Everything that can be done with one connection, behind three dots. */
import { DropdownMenu } from "@kobalte/core/dropdown-menu"
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { type JSX, Show } from "solid-js"
import { useActs } from "../Acts.ts"
import { useWindow } from "../Context.ts"
import { actions } from "../Strings.ts"
import { Icon } from "./Icon.tsx"

const Item = (props: { readonly label: string; readonly act: () => void; readonly danger?: boolean }): JSX.Element => (
  <DropdownMenu.Item
    class="oc-menu-item"
    data-danger={props.danger === true ? "" : undefined}
    onSelect={() => props.act()}
  >
    {props.label}
  </DropdownMenu.Item>
)

export const ActionMenu = (
  props: {
    readonly profile: Profile
    readonly tabIndex?: number
    readonly open?: boolean
    readonly onOpen?: (open: boolean) => void
  }
): JSX.Element => {
  const { layer, openDialog, store } = useWindow()
  const acts = useActs()
  const connected = () => store.state(props.profile.id)._tag === "Connected"
  return (
    <DropdownMenu
      placement="bottom-end"
      gutter={4}
      modal={false}
      {...(props.open === undefined ? {} : { open: props.open })}
      onOpenChange={(open) => props.onOpen?.(open)}
    >
      <DropdownMenu.Trigger
        class="oc-icon-button"
        aria-label={actions.moreFor(props.profile.name)}
        title={actions.more}
        tabIndex={props.tabIndex ?? 0}
      >
        <Icon name="more" />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal mount={layer()!}>
        <DropdownMenu.Content class="oc-menu">
          <Show when={connected()}>
            <Item label={actions.open} act={() => acts.open(props.profile)} />
            <Item label={actions.copyUrl} act={() => acts.copyUrl(props.profile)} />
          </Show>
          <Item label={actions.copySsh} act={() => acts.copySsh(props.profile)} />
          <Item label={actions.diagnostics} act={() => openDialog({ _tag: "Diagnostics", profile: props.profile })} />
          <DropdownMenu.Separator class="oc-menu-line" />
          <Item label={actions.edit} act={() => openDialog({ _tag: "Edit", profile: props.profile })} />
          <Item label={actions.duplicate} act={() => acts.duplicate(props.profile)} />
          <DropdownMenu.Separator class="oc-menu-line" />
          <Item label={actions.remove} danger act={() => openDialog({ _tag: "Remove", profile: props.profile })} />
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu>
  )
}
