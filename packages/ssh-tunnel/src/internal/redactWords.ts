/** Words that name nobody and no place, or that mean something else as well. */

/** Names that every machine has, or that stand for nobody. */
export const nobody: ReadonlySet<string> = new Set([
  "root",
  "localhost",
  "nobody",
  "git",
  "opencode",
  "user",
  "username",
  "host",
  "hostname",
  "master",
  "linuxbrew",
  "shared",
  "public",
  "none",
  "null",
  "undefined",
  "unknown",
  "any",
  "*"
])

/** Words of ssh, of shells and of our own sentences: as names they are recognised only where nothing else can be meant. */
export const vocabulary: ReadonlySet<string> = new Set([
  "agent",
  "authentication",
  "client",
  "config",
  "connection",
  "debug1",
  "default",
  "error",
  "forward",
  "github",
  "home",
  "identity",
  "internal",
  "linux",
  "local",
  "login",
  "network",
  "openssh",
  "password",
  "port",
  "profile",
  "proxy",
  "remote",
  "server",
  "session",
  "shell",
  "ssh",
  "sshd",
  "system",
  "target",
  "tests",
  "tunnel",
  "ubuntu",
  "users",
  "version",
  "windows",
  "workspace"
])

/** Words that are a part of other names: as names they are recognised only where they stand alone. */
export const words: ReadonlySet<string> = new Set([
  "admin",
  "backup",
  "build",
  "cloud",
  "cluster",
  "deploy",
  "desktop",
  "docker",
  "gateway",
  "guest",
  "laptop",
  "production",
  "staging",
  "vagrant",
  "workstation"
])

/** Sites that everybody uses: no place of a person. */
const publicSites = [
  "anthropic.com",
  "bun.sh",
  "debian.org",
  "example.com",
  "github.com",
  "githubusercontent.com",
  "gitlab.com",
  "google.com",
  "googleapis.com",
  "libssh.org",
  "lysator.liu.se",
  "models.dev",
  "mozilla.org",
  "nodejs.org",
  "npmjs.com",
  "npmjs.org",
  "openai.com",
  "opencode.ai",
  "openrouter.ai",
  "openssh.com",
  "openssh.org",
  "openssl.org",
  "ubuntu.com",
  "w3.org"
]

export const isPublic = (name: string): boolean =>
  publicSites.some((site) => name === site || name.endsWith(`.${site}`))

/** `chacha20-poly1305@openssh.com` is an algorithm (RFC 4251 §6). */
export const vendors: ReadonlySet<string> = new Set(["openssh.com", "libssh.org", "lysator.liu.se", "ssh.com"])
