# Sourced by scripts that build for other targets: finds what builds for a target, rustup's or Debian's compiler.

# Ends the script: something must be installed first.
missing() {
  echo "$1; scripts/setup installs it" >&2
  exit 3
}

# find_compiler TARGET [CRATES]: sets `compiler` (variables for `env`) and `build_core` (an argument of cargo, or nothing).
# Debian's compiler makes CRATES, core unless named, from their source.
find_compiler() {
  command -v cargo > /dev/null || { echo "cargo is missing; see https://rustup.rs" >&2; exit 3; }
  compiler=()
  build_core=
  if ! rustup target list --installed 2> /dev/null | grep -qx "$1"; then
    [ -x /usr/bin/rustc ] && [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library" ] ||
      missing "no compiler for $1 (rustup target add $1, or Debian's rustc-web and rust-web-src)"
    # rust-lld comes with rustup's compiler.
    local host
    host=$(rustc -vV | sed -n 's/^host: //p')
    compiler=("PATH=$(rustc --print sysroot)/lib/rustlib/$host/bin:$PATH" RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1)
    build_core=-Zbuild-std=${2:-core}
  fi
}
