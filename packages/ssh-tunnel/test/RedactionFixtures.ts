/** Secrets, the forms in which they leak, and texts around them; written independently of what hides them. */
import { assert } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
const special = "!#$%&()*+,-./:;<=>?@[]^_{|}~ \"'\\`äß€漢"

const characters = (from: string, minLength: number, maxLength: number): Arbitrary.Arbitrary<string> =>
  Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals([...from])), { minLength, maxLength }),
    (parts) => parts.join("")
  )

/** Letters and digits: what a random password generator gives. */
export const Token = characters(alphabet, 10, 40)

/** Anything that fits on a line, with a core that no other text holds by chance. */
export const Password = Arbitrary.map(
  Arbitrary.all([characters(alphabet, 5, 8), characters(special, 0, 6), characters(alphabet, 4, 8)]),
  (parts) => parts.join("")
)

export const Flag = Arbitrary.schema(Schema.Boolean)

export const index = (below: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: below - 1 })))

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString("base64")
const shell = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
const percent = (text: string): string => Buffer.from(text).toString("hex").toUpperCase().replace(/../g, "%$&")
const unicode = (text: string): string =>
  [...text].flatMap((char) => [...Array(char.length).keys()].map((unit) => char.charCodeAt(unit)))
    .map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("")
const html = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\"", "&quot;").replaceAll("'", "&#39;")
const wrap = (text: string, columns: number): string => text.replace(new RegExp(`.{${columns}}`, "g"), "$&\n    ")

/** How a known secret may stand in a text. */
export const encodings: Readonly<Record<string, (secret: string) => string>> = {
  verbatim: (secret) => secret,
  base64,
  "base64, one byte before": (secret) => base64(`x${secret}`),
  "base64, two bytes before and some behind": (secret) => base64(`u:${secret}\n more`),
  "base64 without padding": (secret) => base64(secret).replace(/=+$/, ""),
  base64url: (secret) => Buffer.from(`id.${secret}`).toString("base64url"),
  "base64 of UTF-16": (secret) => base64(Buffer.from(secret, "utf16le")),
  "base64, wrapped": (secret) => wrap(base64(`a longer text in front of ${secret} and one behind`), 20),
  "base64 twice": (secret) => base64(`Authorization: Basic ${base64(`opencode:${secret}`)}`),
  "base64 of JSON": (secret) => base64(JSON.stringify({ password: secret })),
  "base64 in a URL": (secret) => encodeURIComponent(base64(secret)),
  "percent-encoded": (secret) => encodeURIComponent(secret),
  "percent-encoded, every byte": percent,
  "percent-encoded twice": (secret) => encodeURIComponent(encodeURIComponent(secret)),
  "form encoded": (secret) => new URLSearchParams({ x: secret }).toString(),
  JSON: (secret) => JSON.stringify({ x: secret }),
  "JSON in JSON": (secret) => JSON.stringify({ x: JSON.stringify({ y: secret }) }),
  "JSON in JSON in JSON": (secret) => JSON.stringify(JSON.stringify(JSON.stringify([secret]))),
  "JSON, \\u": (secret) => `"${unicode(secret)}"`,
  "shell, single quotes": shell,
  "shell, double quotes": (secret) => `"${secret.replace(/["\\$`]/g, "\\$&")}"`,
  "shell, backslashes": (secret) => secret.replace(/[^A-Za-z0-9]/gu, "\\$&"),
  "shell in JSON": (secret) => JSON.stringify(`sh -c ${shell(secret)}`),
  HTML: html,
  hex: (secret) => Buffer.from(secret).toString("hex"),
  "broken by a line end": (secret) => `${secret.slice(0, 6)}\n${secret.slice(6)}`,
  "broken by a zero width space": (secret) => `${secret.slice(0, 5)}\u200b${secret.slice(5)}`,
  "coloured inside": (secret) => `${secret.slice(0, 5)}\u001b[1;31m${secret.slice(5)}\u001b[0m`
}

const der = (random: string): string => base64(Buffer.from(`0\x82\x04\xa4\x02\x01${random.repeat(16)}`)).slice(0, 320)
const lines = (text: string): ReadonlyArray<string> => text.match(/.{1,64}/g) ?? []

/** Private keys; the body is what must not survive. */
export const privateKeys: Readonly<Record<string, (random: string) => { text: string; body: ReadonlyArray<string> }>> =
  Object.fromEntries(
    Object.entries<(body: ReadonlyArray<string>, kind: string) => string>({
      whole: (body, kind) => `-----BEGIN ${kind}-----\n${body.join("\n")}\n-----END ${kind}-----`,
      truncated: (body, kind) => `-----BEGIN ${kind}-----\n${body.join("\n")}`,
      indented: (body, kind) => `  -----BEGIN ${kind}-----\n    ${body.join("\n    ")}\n  -----END ${kind}-----`,
      "CR LF": (body, kind) => `-----BEGIN ${kind}-----\r\n${body.join("\r\n")}\r\n-----END ${kind}-----\r\n`,
      escaped: (body, kind) =>
        JSON.stringify({ key: `-----BEGIN ${kind}-----\n${body.join("\n")}\n-----END ${kind}-----\n` }),
      "escaped twice": (body, kind) =>
        JSON.stringify(JSON.stringify(`-----BEGIN ${kind}-----\n${body.join("\n")}\n-----END ${kind}-----\n`)),
      "one line": (body, kind) => `-----BEGIN ${kind}----- ${body.join(" ")} -----END ${kind}-----`,
      concatenated: (body, kind) =>
        [`-----BEGIN ${kind}-----`, ...body, `-----END ${kind}-----`].map((line) => `  "${line}\\n" +`).join("\n"),
      quoted: (body, kind) => `> -----BEGIN ${kind}-----\n> ${body.join("\n> ")}\n> -----END ${kind}-----`,
      logged: (body, kind) =>
        [`-----BEGIN ${kind}-----`, ...body, `-----END ${kind}-----`].map((line) => `12:00:01 INFO key: ${line}`)
          .join("\n"),
      "with headers": (body, kind) =>
        `-----BEGIN ${kind}-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n${
          body.join("\n")
        }\n-----END ${kind}-----`,
      "without a beginning": (body, kind) => `some line before\n${body.join("\n")}\n-----END ${kind}-----`,
      "base64 of all": (body, kind) => base64(`-----BEGIN ${kind}-----\n${body.join("\n")}\n-----END ${kind}-----\n`)
    }).flatMap(([name, make]) =>
      ["OPENSSH PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY"].map((kind) => [
        `${kind}, ${name}`,
        (random: string) => {
          const body = lines(der(random))
          const text = make(body, kind)
          return { text, body: name === "base64 of all" ? lines(text) : body }
        }
      ])
    )
  )

/** Places in which a secret that nobody knows must be hidden, for values of letters and digits. */
export const unknownTokens: Readonly<Record<string, (secret: string) => string>> = {
  environment: (secret) => `HOME=/x\nOPENAI_API_KEY=${secret}\nLANG=C`,
  "environment, exported": (secret) => `export GITHUB_TOKEN=${secret}`,
  "environment, quoted": (secret) => `declare -x DB_PASSWORD="${secret} with blanks"`,
  "environment, NUL": (secret) => `PATH=/bin\0MY_SECRET=${secret}\0LANG=C\0`,
  "inline environment": (secret) => `+ env AWS_SECRET_ACCESS_KEY=${secret} opencode serve`,
  JSON: (secret) => `{"a":1,"password":"${secret}","b":2}`,
  "JSON in JSON": (secret) => JSON.stringify(`{"a":1,"client_secret":"${secret}","b":2}`),
  "JSON array": (secret) => `{"tokens":2,"secrets":["${secret}"]}`,
  YAML: (secret) => `server:\n  password: ${secret}\n  port: 1`,
  "YAML block": (secret) => `server:\n  secret: |\n    ${secret}\n    ${secret}\n  port: 1`,
  JavaScript: (secret) => `{ apiKey: '${secret}', port: 1 }`,
  Python: (secret) => `os.environ["API_TOKEN"] = '${secret}'`,
  PowerShell: (secret) => `$env:APP_SECRET = "${secret}"`,
  ini: (secret) => `[a]\npassword = ${secret}\nport = 1`,
  logfmt: (secret) => `level=info accessToken=${secret} port=1`,
  "flag with =": (secret) => `mytool --password=${secret} --port 1`,
  flag: (secret) => `mytool --auth-token ${secret} --port 1`,
  "flags as JSON": (secret) => JSON.stringify(["mytool", "--api-key", secret, "--port", "1"]),
  sshpass: (secret) => `sshpass -p ${secret} ssh box`,
  curl: (secret) => `curl -s -u me:${secret} http://127.0.0.1/`,
  netrc: (secret) => `machine example.com login me password ${secret}`,
  npmrc: (secret) => `//npm.example.com/:_authToken=${secret}`,
  XML: (secret) => `<settings><password>${secret}</password></settings>`,
  "Basic header": (secret) => `authorization: Basic ${base64(`opencode:${secret}`)}`,
  "Basic alone": (secret) => `sent Basic ${base64(`opencode:${secret}`)} to it`,
  "Bearer header": (secret) => `curl -H "Authorization: Bearer ${secret}" http://x/`,
  "header in JSON": (secret) => JSON.stringify({ headers: { Authorization: `Bearer ${secret}` } }),
  "header without scheme": (secret) => `Authorization: ${secret}`,
  "API key header": (secret) => `x-api-key: ${secret}`,
  cookie: (secret) => `Set-Cookie: session=${secret}; HttpOnly`,
  "userinfo of a URL": (secret) => `GET http://opencode:${secret}@127.0.0.1:4096/x failed`,
  "userinfo of a database": (secret) => `DATABASE_URL=postgres://app:${secret}@db.corp/app`,
  "userinfo in JSON": (secret) => `{"url":"https:\\/\\/me:${secret}@host.example\\/"}`,
  "token in a URL": (secret) => `git clone https://${secret}@github.com/a/b`,
  "userinfo without scheme": (secret) => `proxy is me:${secret}@proxy.example:3128 now`,
  query: (secret) => `GET /?auth_token=${secret}&page=2`,
  "query, key": (secret) => `https://x.example/v1?page=2&key=${secret}`,
  "query, encoded": (secret) => `next=${encodeURIComponent(`/?access_token=${secret}&x=1`)}`,
  GitHub: (secret) => `pushed with ghp_${secret}${secret} ok`,
  OpenAI: (secret) => `key sk-proj-${secret}${secret} ok`,
  JWT: (secret) => `got eyJhbGciOiJIUzI1NiJ9.${secret}.${secret} ok`
}

/** `assert.notInclude`, for millions of calls. */
export const assertAbsent = (text: string, secret: string): void => {
  if (text.includes(secret)) assert.notInclude(text, secret)
}
