/** Renders the Homebrew formula of a release: the archive for each system, held to its checksum. */
import manifest from '../../package.json' with { type: 'json' }

/** Homebrew's words for a system and a processor, and the archive for them. */
const PLATFORMS = [
  ['macos', 'arm', 'darwin-arm64'],
  ['macos', 'intel', 'darwin-x64'],
  ['linux', 'arm', 'linux-arm64'],
  ['linux', 'intel', 'linux-x64'],
] as const

/** `checksums` by the name of the archive; a platform that has none is left out. */
export function renderFormula(repository: string, checksums: ReadonlyMap<string, string>): string {
  const { name, version, description, license } = manifest
  const blocks = (['macos', 'linux'] as const).map((system) => {
    const platforms = PLATFORMS.filter(([of]) => of === system).flatMap(([, processor, target]) => {
      const archive = `${name}-${version}-${target}.tar.gz`
      const sha256 = checksums.get(archive)
      const url = `https://github.com/${repository}/releases/download/v${version}/${archive}`
      if (!sha256) return []
      return [`    on_${processor} do\n      url "${url}"\n      sha256 "${sha256}"\n    end\n`]
    })
    return platforms.length > 0 ? `  on_${system} do\n${platforms.join('')}  end\n` : ''
  })
  return `class QuotaProxy < Formula
  desc "${(description.split('. ')[0] ?? '').replaceAll('"', '')}"
  homepage "https://github.com/${repository}"
  version "${version}"
  license "${license}"

${blocks.filter(Boolean).join('\n')}
  def install
    bin.install "${name}"
    bash_completion.install "completions/${name}.bash" => "${name}"
    zsh_completion.install "completions/_${name}"
    fish_completion.install "completions/${name}.fish"
  end

  service do
    run [opt_bin/"${name}", "serve"]
    environment_variables DATA_DIR: var/"${name}"
    keep_alive true
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/${name} --version")
  end
end
`
}
