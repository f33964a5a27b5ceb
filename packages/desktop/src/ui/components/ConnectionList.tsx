/** The left pane: all connections, a filter, and the keys that go through them. */
import type { Profile } from "@opencode-ai/ssh-tunnel/Profile"
import { createMemo, createSelector, createSignal, For, type JSX, Show } from "solid-js"
import { useActs } from "../Acts.ts"
import { useWindow } from "../Context.ts"
import { list } from "../Strings.ts"
import { ConnectionRow } from "./ConnectionRow.tsx"
import { IconButton } from "./Controls.tsx"
import { Icon } from "./Icon.tsx"

const matches = (profile: Profile, words: ReadonlyArray<string>): boolean => {
  const text = `${profile.name} ${profile.destination.toString()} ${profile.proxyJump ?? ""}`.toLowerCase()
  return words.every((word) => text.includes(word))
}

export const ConnectionList = (props: { readonly onOpen: (focus: boolean) => void }): JSX.Element => {
  const { openDialog, store } = useWindow()
  const acts = useActs()
  const [filter, setFilter] = createSignal("")
  let filterField!: HTMLInputElement
  let rows!: HTMLUListElement

  const all = () => store.profiles() ?? []
  const shown = createMemo(() => {
    const words = filter().toLowerCase().split(/\s+/).filter((word) => word !== "")
    return words.length === 0 ? all() : all().filter((profile) => matches(profile, words))
  })
  // What the filter hides cannot be current in the list.
  const currentId = createMemo(() => {
    const id = store.selectedId()
    return shown().some((profile) => profile.id === id) ? id : shown()[0]?.id
  })

  const isCurrent = createSelector(currentId)

  const focusRow = (id: string | undefined) => {
    const row = id === undefined ? undefined : rows.querySelector(`[data-id="${CSS.escape(id)}"] .oc-row-main`)
    if (row instanceof HTMLElement) row.focus()
  }

  const go = (to: (index: number, last: number) => number) => {
    const last = shown().length - 1
    const index = shown().findIndex(({ id }) => id === currentId())
    const next = shown()[Math.min(last, Math.max(0, to(index, last)))]
    if (next === undefined) return
    store.select(next.id)
    focusRow(next.id)
  }

  const keys: { readonly [key: string]: (profile: Profile | undefined) => void } = {
    ArrowDown: () => go((index) => index + 1),
    ArrowUp: () => go((index) => index - 1),
    Home: () => go(() => 0),
    End: () => go((_, last) => last),
    "/": () => filterField.focus(),
    n: () => openDialog({ _tag: "Add" }),
    "?": () => openDialog({ _tag: "Keys" }),
    c: (profile) => profile !== undefined && acts.toggle(profile),
    o: (profile) => profile !== undefined && store.state(profile.id)._tag === "Connected" && acts.open(profile),
    r: (profile) => profile !== undefined && store.state(profile.id)._tag === "Reconnecting" && acts.retry(profile),
    e: (profile) => profile !== undefined && openDialog({ _tag: "Edit", profile }),
    Delete: (profile) => profile !== undefined && openDialog({ _tag: "Remove", profile })
  }

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
    const inRow = event.target instanceof Element && event.target.closest(".oc-row-main") !== null
    if (key === "Enter" && inRow) {
      event.preventDefault()
      props.onOpen(true)
      return
    }
    const act = keys[key]
    if (act === undefined) return
    event.preventDefault()
    act(shown().find(({ id }) => id === currentId()))
  }

  return (
    <nav class="oc-list" aria-label={list.label}>
      <div class="oc-list-head">
        <h2 class="oc-title">{list.title}</h2>
        <IconButton icon="keyboard" label={list.keys} onClick={() => openDialog({ _tag: "Keys" })} />
        <button type="button" class="oc-button" data-kind="ghost" onClick={() => openDialog({ _tag: "Add" })}>
          <Icon name="plus" />
          <span class="oc-button-text">{list.add}</span>
        </button>
      </div>
      <div class="oc-filter">
        <Icon name="search" class="oc-filter-icon" />
        <input
          ref={filterField}
          class="oc-input"
          type="text"
          placeholder={list.filterPlaceholder}
          aria-label={list.filter}
          autocomplete="off"
          spellcheck={false}
          value={filter()}
          onInput={(event) => setFilter(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") setFilter("")
            else if (event.key === "ArrowDown" || event.key === "Enter") focusRow(currentId())
            else return
            event.preventDefault()
          }}
        />
        <span class="oc-filter-count" role="status">
          <Show when={filter() !== ""}>{list.count(shown().length, all().length)}</Show>
        </span>
      </div>
      <ul class="oc-rows" ref={rows} onKeyDown={onKeyDown}>
        <For each={shown()}>
          {(profile) => (
            <ConnectionRow
              profile={profile}
              current={isCurrent(profile.id)}
              onOpen={() => {
                store.select(profile.id)
                props.onOpen(false)
              }}
            />
          )}
        </For>
      </ul>
      <Show when={filter() !== "" && shown().length === 0}>
        <p class="oc-list-none">{list.none(filter())}</p>
      </Show>
      <Show when={store.troubles().length > 0}>
        <section class="oc-troubles" aria-label={list.problems}>
          <h3 class="oc-small-title">{list.problems}</h3>
          <For each={store.troubles()}>
            {(trouble) => (
              <div class="oc-trouble">
                <p class="oc-trouble-text">
                  <bdi class="oc-strong">{list.problemName(trouble.name ?? trouble.id)}</bdi>
                  <bdi>{trouble.message}</bdi>
                </p>
                <Show when={trouble.id}>
                  {(id) => (
                    <IconButton
                      icon="close"
                      label={`${list.problemRemove}: ${trouble.name ?? id()}`}
                      onClick={() => store.run(store.bridge.removeProfile({ id: id() }))}
                    />
                  )}
                </Show>
              </div>
            )}
          </For>
        </section>
      </Show>
      <p class="oc-about">
        <bdi>{store.about()?.application ?? ""}</bdi>
      </p>
    </nav>
  )
}
