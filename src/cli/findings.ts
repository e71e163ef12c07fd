/** What commands that examine something have found, a line each. */

export type Finding = { readonly check: string; readonly ok: boolean; readonly detail: string }

export function renderFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  return findings
    .map(({ check, ok, detail }) => `${ok ? 'ok  ' : 'FAIL'}  ${check.padEnd(width)}  ${detail}\n`)
    .join('')
}
