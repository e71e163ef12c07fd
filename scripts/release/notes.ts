/** The notes of a release are its section of CHANGELOG.md. Without one there is nothing to release. */

export function releaseNotes(changelog: string, version: string): string {
  const sections = changelog.split(/^(?=## )/m)
  const section = sections.find((text) =>
    new RegExp(`^## \\[?${RegExp.escape(version)}\\]?(\\s|$)`).test(text),
  )
  const body = section?.replace(/^.*\n/, '').trim()
  if (!body) throw new Error(`CHANGELOG.md has no section "## ${version}".`)
  return `${body}\n`
}
