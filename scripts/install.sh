# shellcheck shell=sh disable=SC2154
# How set-up installs things, and what it says where it can't. Sourced by setup
# after tools.sh, and only when something is missing.

rustup_limit=300 # seconds
rustup_install="rustup toolchain install $rust_version --profile minimal \
--component rust-src --component clippy --component rustfmt"

# What to type where set-up can't help itself; $1 says why it can't.
stop_with_commands() {
    say "$1 These are missing:"
    list_lines "$lacking"
    say "Install them, then run the same command again:"
    if [ -n "$debian" ]; then
        list "Debian    sudo apt-get update" \
            "          sudo apt-get install --no-install-recommends$debian" \
            "Fedora    sudo dnf install$fedora" \
            "Arch      sudo pacman -S$arch" \
            "Homebrew  brew install$homebrew"
        case $homebrew in
        *crosstool-ng*)
            list "          with crosstool-ng build powerpc64le-unknown-linux-gnu and set" \
                "          CROSS_COMPILE=powerpc64le-unknown-linux-gnu-" ;;
        esac
        case $missing in
        *gdb-multiarch*) list "          (not on Debian: name that gdb, GDB=gdb make gdb)" ;;
        esac
    fi
    if [ -n "$rust_missing" ]; then
        list "Rust      $rustup_install"
        command -v rustup >/dev/null ||
            list "          (rustup itself, with its cargo: see https://rustup.rs)"
        list "or        sudo apt-get install --no-install-recommends $debian_rust" \
            "          (Debian 12 with its security updates; docs/setup.md)"
    fi
    exit 1
}

list_lines() {
    while IFS= read -r line; do list "$line"; done <<END
$1
END
}

# Sets root: how to run something as root, and fails where that can't be done.
find_root() {
    if [ "$(id -u)" = 0 ]; then
        root=
    elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
        root=sudo
    else
        return 1
    fi
}

# Where apt-get shall look for its sources, if not in its own place.
apt_sources=
apt() {
    $root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=120 \
        ${apt_sources:+-o "Dir::Etc::SourceParts=$apt_sources"} "$@" >&2 </dev/null
}

# Once is enough.
apt_is_fresh=
apt_update() {
    [ -z "$apt_is_fresh" ] || return 0
    apt update || die "apt-get update failed (its reason is above)."
    apt_is_fresh=yes
}

# Says what apt will do, then does it. --no-remove: what a user installed on
# purpose, such as Debian's other Rust, is theirs to remove.
apt_install() {
    say "About to install Debian packages${root:+ with $root}:"
    [ -n "$apt_is_fresh" ] || list "apt-get update"
    list "apt-get install --no-install-recommends --no-remove $*"
    apt_update
    case " $* " in *" qemu-system-ppc "*) qemu_from_backports ;; esac
    apt_install_only "$@"
}

apt_install_only() {
    apt install -y --no-install-recommends --no-remove "$@" ||
        die "apt-get install failed (its reason is above). If it would have to remove packages," \
            "that is yours to decide: run it by hand without --no-remove, then this again."
}

# QEMU's packages fit together in one version only. If some are here from Debian's
# backports, say qemu-utils, those of Debian itself would have to remove them; so the
# one that is needed comes from there too. For this one time apt is shown that suite,
# if it does not know it.
qemu_from_backports() {
    dpkg-query -W -f '${db:Status-Status} ${Version} ${Package}\n' 'qemu-*' 2>/dev/null |
        grep -q '^installed .*~bpo' || return 0
    known=$(apt-get indextargets --format '$(LABEL) $(CODENAME) $(REPO_URI)' 'Created-By: Packages')
    debian=$(echo "$known" | awk '$1 == "Debian" && $2 !~ /-/ { print $2, $3; exit }')
    [ -n "$debian" ] || return 0
    suite=${debian% *}-backports
    say "Other packages of QEMU are here from $suite, so this one is taken from there:"
    if ! echo "$known" | awk -v suite="$suite" '$2 == suite { found = 1 } END { exit !found }'; then
        scratch=$(mktemp -d)
        apt_sources=$scratch/sources.list.d
        [ ! -d /etc/apt/sources.list.d ] || cp -R /etc/apt/sources.list.d "$scratch"
        mkdir -p "$apt_sources"
        echo "deb ${debian#* } $suite main" >"$apt_sources/klplab-backports.list"
        chmod -R a+rX "$scratch"
        list "apt-get update (with $suite, this once)"
        apt_is_fresh=
        apt_update
    fi
    list "apt-get install --no-install-recommends --no-remove -t $suite qemu-system-ppc"
    apt_install_only -t "$suite" qemu-system-ppc
    [ -z "$apt_sources" ] || rm -rf "$scratch"
    apt_sources=
}

# Rust through rustup: the toolchain that rust-toolchain.toml names.
rust_by_rustup() {
    say "About to install Rust $rust_version (at most $rustup_limit s):"
    list "$rustup_install"
    limit=
    if timeout --foreground 9 true 2>/dev/null; then
        limit="timeout --foreground $rustup_limit"
    fi
    # shellcheck disable=SC2086 # both are several words
    $limit $rustup_install --no-self-update >&2 </dev/null || return 1
    # The way back from Debian's packages, if this checkout was put on them.
    if [ -z "${RUSTUP_TOOLCHAIN-}" ] && [ "$(rustup_name)" = debian-web ]; then
        rustup override unset
    fi
}

# Rust from Debian: the same version under other names, in /usr/bin. Rustup's
# shims, if there are any, are told to use it in this folder.
rust_by_debian() {
    if ! apt_offers_rust && [ -z "$apt_is_fresh" ]; then
        say "About to look for Debian's Rust:"
        list "apt-get update"
        apt_update
    fi
    apt_offers_rust || stop_with_commands "No Rust $rust_version from rustup, and none from apt's \
sources (Debian 12's suite bookworm-security has it)."
    versioned=
    for package in $debian_rust; do versioned="$versioned $package=$rust_version*"; done
    # shellcheck disable=SC2086 # one word a package
    apt_install $versioned
    use_debian_rust
}

apt_offers_rust() {
    apt-cache madison rustc-web 2>/dev/null | grep -qF " $rust_version+"
}

debian_rust_is_here() {
    kept=$rust_root rust_root=/usr here=yes
    while IFS='|' read -r name level least _; do
        [ "$level" != rust ] || probe "$name" "$least" || here=
    done <<END
$(tools)
END
    rust_root=$kept
    [ -n "$here" ]
}

use_debian_rust() {
    command -v rustup >/dev/null || return 0
    say "Plain cargo in this folder is about to use Debian's Rust:"
    list "rustup toolchain link debian-web /usr" "rustup override set debian-web"
    rustup toolchain link debian-web /usr
    rustup override set debian-web
}

# What the user told rustup goes before rust-toolchain.toml, and before anything
# that set-up could do.
refuse_other_toolchain() {
    command -v rustup >/dev/null || return 0
    name=$(rustup_name)
    case $name in
    "$rust_version"* | debian-web) ;;
    "${RUSTUP_TOOLCHAIN-}")
        die "Rust $rust_version is needed, but RUSTUP_TOOLCHAIN=$name is set: unset it." ;;
    *)
        die "Rust $rust_version is needed, but rustup has an override to $name for this" \
            "folder: rustup override unset" ;;
    esac
}

install_rust() {
    if command -v rustup >/dev/null && command -v cargo >/dev/null; then
        if debian_rust_is_here; then
            use_debian_rust
            return
        fi
        rust_by_rustup && return
        say "rustup could not install Rust $rust_version."
    fi
    if ! command -v apt-get >/dev/null || ! find_root; then
        take_stock
        stop_with_commands "Debian's packages of it need apt and root."
    fi
    rust_by_debian
}
