/** The text of docs/configuration.md, made from the table of settings. Pure. */
import { ROWS } from './options.ts'

export function renderConfigurationMarkdown(): string {
  const rows = ROWS.map(([, option]) => {
    const shown = option.default ? `\`${option.default}\`` : ''
    return `| \`${option.env}\` | ${option.kind.name} | ${shown} | ${option.sentence} |`
  })
  return `# Configuration

<!-- Made from src/config/options.ts by \`bun run generate\`; change it there. -->

Settings are environment variables. None is required. \`quota-proxy config\` shows the ones in force
and where each comes from, with secrets hidden.

| Name | Value | Default | What it does |
|---|---|---|---|
${rows.join('\n')}

- An empty value counts as not set, and white space around a value is ignored.
- A wrong value stops the start with exit code 2, and all of them are named at once. So does a name
  that looks like a misspelling of one of these.
- A name that begins with \`QUOTA_PROXY_\` or \`QUOTA_\` is only warned about: Kubernetes sets such names
  itself for a service called \`quota-proxy\`.
- An admin token has at least 16 visible ASCII characters. Placeholders from examples, such as
  \`your-secure-admin-token-here\`, are refused on purpose. Make one with \`openssl rand -hex 32\`.
- \`ADMIN_TOKEN\` and \`ADMIN_TOKEN_FILE\` exclude each other, and so do \`SECRET_KEY\` and \`SECRET_KEY_FILE\`.
- Make a secret key with \`openssl rand -base64 32\`. Without it sealed credentials are lost: keep a copy apart
  from the database. \`quota-proxy secret rotate\` changes it.
- \`UPSTREAM_API_KEY\` and \`UPSTREAM_MOUNT\` need \`UPSTREAM_BASE_URL\`.
- \`PROXY_EGRESS=listed\` needs \`PROXY_EGRESS_ALLOW\`.
`
}
