# shellcheck shell=bash
# Shared by the scripts of this folder; sourced, never run.

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$@"; exit 1; }

engine_answers() { timeout 10 docker info >/dev/null 2>&1; }

# Whether as_root will work without asking anything.
can_be_root() { ((EUID == 0)) || sudo -n true 2>/dev/null; }
as_root() { if ((EUID == 0)); then "$@"; else sudo -n -- "$@"; fi; }

# Prints those of the named Debian packages that are not installed.
missing_packages() {
    local name
    for name; do
        # A Node.js that is not Debian's brings npm along, and Debian's npm conflicts with it.
        if [[ $name == npm ]] && command -v npm >/dev/null; then continue; fi
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || printf '%s\n' "$name"
    done
}

# Installs the named Debian packages where they are missing, or says which line would.
need_packages() {
    local missing
    command -v apt-get >/dev/null || die "not a Debian system; install what provides: $*"
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    can_be_root || die "missing Debian packages; run: sudo apt-get install -y --no-install-recommends ${missing[*]}"
    say "installing ${missing[*]}"
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install "${missing[@]}")
    local log
    log=$(mktemp)
    # The package lists of a fresh machine are empty or old: a first failure is answered by reading them anew.
    if ! as_root "${install[@]}" >"$log" 2>&1 && ! { as_root apt-get -qq update && as_root "${install[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install ${missing[*]}"
    fi
    rm -f "$log"
}
