/** One connection in the list: two lines of fixed height, whatever its state. */
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { createMemo, createSignal, type JSX, Show } from "solid-js"
import { main, useActs } from "../Acts.ts"
import { useWindow } from "../Context.ts"
import { isTicking, summary } from "../StateView.ts"
import { actions } from "../Strings.ts"
import { ActionMenu } from "./ActionMenu.tsx"
import { IconButton } from "./Controls.tsx"
import { Icon } from "./Icon.tsx"
import { StatusPill } from "./StatusPill.tsx"

/** Ticks only while it is shown. */
const Ticking = (props: { readonly profile: Profile }): JSX.Element => {
  const { store } = useWindow()
  store.clock.watch()
  return <>{summary(store.state(props.profile.id), store.clock.now())}</>
}

const Summary = (props: { readonly profile: Profile }): JSX.Element => {
  const { store } = useWindow()
  const ticking = createMemo(() => {
    const state = store.state(props.profile.id)
    return isTicking(state) && state._tag !== "Connected"
  })
  return (
    <Show when={ticking()} fallback={summary(store.state(props.profile.id), 0)}>
      <Ticking profile={props.profile} />
    </Show>
  )
}

/** The one thing that is most likely wanted now. */
const QuickAct = (props: { readonly profile: Profile; readonly tabIndex: number }): JSX.Element => {
  const { store } = useWindow()
  const acts = useActs()
  const act = createMemo(() => main(store.state(props.profile.id)))
  const face = () => {
    const { name } = props.profile
    switch (act()) {
      case "open":
      case "retry":
        return { icon: "stop" as const, label: actions.disconnectFrom(name), run: acts.disconnect }
      case "cancel":
        return { icon: "stop" as const, label: actions.cancelConnecting(name), run: acts.disconnect }
      default:
        return { icon: "connect" as const, label: actions.connectTo(name), run: acts.connect }
    }
  }
  return (
    <IconButton
      icon={face().icon}
      label={face().label}
      tabIndex={props.tabIndex}
      disabled={store.link() === "lost"}
      onClick={(event) => {
        // The second click of a double-click would undo the first one.
        if (event.detail < 2 && act() !== "wait") face().run(props.profile)
      }}
    />
  )
}

export const ConnectionRow = (
  props: { readonly profile: Profile; readonly current: boolean; readonly onOpen: () => void }
): JSX.Element => {
  const { store } = useWindow()
  const [menuOpen, setMenuOpen] = createSignal(false)
  // A list is one stop of the Tab key: only the current row's buttons can be reached by it.
  const tabIndex = () => props.current ? 0 : -1
  return (
    <li class="oc-row" data-current={props.current} data-id={props.profile.id}>
      <button
        type="button"
        class="oc-row-main"
        aria-current={props.current ? "true" : undefined}
        tabIndex={tabIndex()}
        onClick={() => props.onOpen()}
      >
        <span class="oc-row-name">
          <bdi>{props.profile.name}</bdi>
          <Show when={props.profile.name !== props.profile.host}>
            <bdi class="oc-row-host">{props.profile.destination.toString()}</bdi>
          </Show>
        </span>
        <span class="oc-row-state">
          <StatusPill state={store.state(props.profile.id)} quiet />
          <bdi class="oc-row-summary">
            <Summary profile={props.profile} />
          </bdi>
        </span>
      </button>
      <span class="oc-row-acts">
        <QuickAct profile={props.profile} tabIndex={tabIndex()} />
        <Show
          when={props.current}
          fallback={
            // Two hundred menus would be slow to make: a row gets its own when it becomes the current one.


              <button
                type="button"
                class="oc-icon-button"
                tabIndex={-1}
                aria-label={actions.moreFor(props.profile.name)}
                aria-haspopup="true"
                title={actions.more}
                onClick={() => {
                  store.select(props.profile.id)
                  setMenuOpen(true)
                }}
              >
                <Icon name="more" />
              </button>

          }
        >
          <ActionMenu profile={props.profile} open={menuOpen()} onOpen={setMenuOpen} />
        </Show>
      </span>
    </li>
  )
}
