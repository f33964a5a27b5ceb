/** What measurements were made on, in one line: no names and no places. */
import { execFile } from "node:child_process"
import { arch, availableParallelism, release, type } from "node:os"

const firstLine = (program: string, args: ReadonlyArray<string>): Promise<string> =>
  new Promise((resolve) => {
    execFile(program, args, (_, stdout, stderr) => resolve(`${stdout}${stderr}`.trim().split("\n")[0] ?? ""))
  })

/** Such as `Linux 6.1, x64, 2 cores, OpenSSH_9.2p1, Node 24.21.0, Bun 1.4.5`. */
export const describeMachine = async (): Promise<string> => {
  const ssh = /^OpenSSH_\S+?(?=,|\s|$)/.exec(await firstLine("ssh", ["-V"]))?.[0] ?? "no ssh"
  const bun = await firstLine("bun", ["--version"])
  return [
    `${type()} ${release().split(".").slice(0, 2).join(".")}`,
    arch(),
    `${availableParallelism()} cores`,
    ssh,
    `Node ${process.versions.node}`,
    ...(/^\d/.test(bun) ? [`Bun ${bun}`] : [])
  ].join(", ")
}
