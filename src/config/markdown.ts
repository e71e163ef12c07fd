/** The text of docs/configuration.md, made from the table of settings. Pure. */
import { ROWS } from './options.ts'

export function renderConfigurationMarkdown(): string {
  const rows = ROWS.map(([, option]) => {
    const shown = option.default ? `\`${option.default}\`` : ''
    return `| \`${option.env}\` | ${option.kind.name} | ${shown} | ${option.restart ? 'restart' : 'reload'} | ${option.sentence} |`
  })
  return `# Configuration

<!-- Made from src/config/options.ts by \`bun run generate\`; change it there. -->

Settings are environment variables, or lines of the file that \`CONFIG_FILE\` names. None is required.
\`quota-proxy config\` shows the ones in force and where each comes from, with secrets hidden.

| Name | Value | Default | A change needs | What it does |
|---|---|---|---|---|
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
- \`TLS_CERT_FILE\` and \`TLS_KEY_FILE\` need each other, and \`BACKUP_S3_URL\` needs \`BACKUP_S3_ACCESS_KEY_ID\` and
  \`BACKUP_S3_SECRET_ACCESS_KEY\`.
- \`PROXY_EGRESS=listed\` needs \`PROXY_EGRESS_ALLOW\`.

## Reload

The environment of a process cannot change while it runs; files can. \`CONFIG_FILE\` (in the form \`NAME=value\`, with \`#\` for
comments), \`ADMIN_TOKEN_FILE\` or the generated admin token, and the files of TLS are read again when they change, within two
seconds, and on SIGHUP (\`systemctl reload\`, \`docker compose kill -s HUP\`). The log names what has changed. Calls in flight end
under the settings that they began with.

Of a setting that needs a restart, the log says so, and the old value stays in force until then. If anything in the files is
wrong, nothing changes, and the log says why.
`
}
