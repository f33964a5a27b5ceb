/** Notices in the corner of the window; errors stay until somebody closes them. */
import { createSignal, For, type JSX, onCleanup, onMount, Show } from "solid-js"
import { useWindow } from "../Context.ts"
import type { Notice } from "../News.ts"
import { actions, failure, notices } from "../Strings.ts"
import * as Timing from "../Timing.ts"
import { Command, Foreign, IconButton } from "./Controls.tsx"
import { Icon, type IconName } from "./Icon.tsx"

const icons: { readonly [T in Notice["tone"]]: IconName } = {
  good: "check",
  warning: "retry",
  bad: "warning",
  neutral: "copy"
}

const NoticeCard = (props: { readonly notice: Notice }): JSX.Element => {
  const { store } = useWindow()
  const close = () => store.news.close(props.notice.key)
  const [held, setHeld] = createSignal(false)
  const stays = () => props.notice.tone === "bad" || props.notice.link !== undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  const start = () => {
    clearTimeout(timer)
    if (!stays()) timer = setTimeout(() => held() ? start() : close(), Timing.notice)
  }
  onMount(start)
  onCleanup(() => clearTimeout(timer))
  return (
    <li
      class="oc-notice"
      data-tone={props.notice.tone}
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocusIn={() => setHeld(true)}
      onFocusOut={() => setHeld(false)}
    >
      <Icon name={icons[props.notice.tone]} />
      <div class="oc-note-body">
        <p class="oc-strong">
          <Foreign>{props.notice.title}</Foreign>
        </p>
        <Show when={props.notice.text}>
          <p class="oc-notice-text">
            <Foreign>{props.notice.text}</Foreign>
          </p>
        </Show>
        <Show when={props.notice.link}>
          {(link) => (
            <a class="oc-link" href={link()} target="_blank" rel="noopener noreferrer" onClick={close}>
              {notices.openLink}
            </a>
          )}
        </Show>
        <Show when={props.notice.command}>
          {(command) => <Command text={command()} label={failure.command} />}
        </Show>
      </div>
      <IconButton icon="close" label={actions.close} onClick={close} />
    </li>
  )
}

export const Notices = (): JSX.Element => {
  const { store } = useWindow()
  return (
    <section class="oc-notices" aria-label={notices.region}>
      <div role="status">
        <ol class="oc-notice-list">
          <For each={store.news.notices()}>{(notice) => <NoticeCard notice={notice} />}</For>
        </ol>
      </div>
    </section>
  )
}
