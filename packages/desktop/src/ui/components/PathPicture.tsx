/** The way of a connection, node by node; the links between them say how far it came. */
import { For, type JSX } from "solid-js"
import type { PathNode, Place } from "../PathView.ts"
import { path } from "../Strings.ts"
import { Icon, type IconName } from "./Icon.tsx"

const icons: { readonly [P in Place]: IconName } = { local: "laptop", hop: "hop", host: "host", server: "server" }

const words = (node: PathNode): string => path.status[node.link === "broken" ? "broken" : node.status]

export const PathPicture = (props: { readonly nodes: ReadonlyArray<PathNode> }): JSX.Element => (
  <ol class="oc-path" aria-label={path.title}>
    <For each={props.nodes}>
      {(node, index) => (
        <li class="oc-path-node" data-status={node.status} data-link={index() === 0 ? "none" : node.link}>
          <span class="oc-path-link" aria-hidden="true">
            <span class="oc-path-break">
              <Icon name="close" />
            </span>
          </span>
          <span class="oc-path-icon">
            <Icon name={icons[node.place]} />
          </span>
          <span class="oc-path-label">
            <bdi>{node.label}</bdi>
          </span>
          <span class="oc-hidden">: {words(node)}</span>
        </li>
      )}
    </For>
  </ol>
)
