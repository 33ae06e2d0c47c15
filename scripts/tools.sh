# shellcheck shell=sh
# What klplab needs on the host: the one list, and how to look for it.
# Sourced by setup and doctor, in the top folder of the checkout. It changes
# nothing on the machine; setup alone does.

cross=${CROSS_COMPILE-powerpc64le-linux-gnu-}
qemu=${QEMU:-qemu-system-ppc64}
gdb=${GDB:-gdb-multiarch}
chromium=${CHROMIUM:-chromium}
rust_version=$(sed -n 's/^channel *= *"\(.*\)"$/\1/p' rust-toolchain.toml)
# Debian's packages of that compiler with its library source, clippy, rustfmt.
# shellcheck disable=SC2034 # used by setup
debian_rust="rustc-web cargo-web rust-web-src rust-web-clippy rustfmt-web"

# name | level | least version | packages: Debian | Fedora | Arch | Homebrew | for
# `need` is installed by every target that builds; `gdb` by `make gdb`; both `gdb` and
# `test` by the targets that run the tests; `extra` by none: what uses it does without.
# The Rust rows come last: they are one toolchain and installed together.
tools() {
    cat <<END
make|need|3.81|make|make|make|make|the targets in the Makefile
cc|need|-|gcc libc6-dev|gcc|gcc|gcc|links what Rust builds for the host
${cross}gcc|need|-|gcc-powerpc64le-linux-gnu|gcc-powerpc64le-linux-gnu|powerpc64le-linux-gnu-gcc|crosstool-ng|assembles the guest's entry code
${cross}ld|need|-|binutils-powerpc64le-linux-gnu|binutils-powerpc64le-linux-gnu|powerpc64le-linux-gnu-binutils|crosstool-ng|links the kernel
${cross}objdump|need|-|binutils-powerpc64le-linux-gnu|binutils-powerpc64le-linux-gnu|powerpc64le-linux-gnu-binutils|crosstool-ng|disassembles the kernel
$qemu|need|7.2|qemu-system-ppc|qemu-system-ppc|qemu-system-ppc|qemu|runs the kernel
certificates|need|-|ca-certificates|ca-certificates|ca-certificates|ca-certificates|lets cargo and rustup trust their servers
$gdb|gdb|-|gdb-multiarch|gdb|gdb|gdb|make gdb
$chromium|test|-|chromium|chromium|chromium|chromium|make test opens the page of make report in it
git|test|-|git|git|git|git|make test changes a copy of the tree with it
llvm-mc|extra|-|llvm|llvm|llvm|llvm|make bench estimates cycles with llvm-mca
llvm-mca|extra|-|llvm|llvm|llvm|llvm|make bench estimates cycles with it
cargo|rust|$rust_version|||||builds everything
rustc|rust|$rust_version|||||builds everything
rust-src|rust|$rust_version|||||core and alloc are built for the guest from it
clippy|rust|-|||||make check
rustfmt|rust|-|||||make check
END
}

# Cargo may be in rustup's folder and that folder not in PATH.
find_cargo() {
    if ! command -v cargo >/dev/null || ! command -v rustup >/dev/null; then
        cargo_bin=${CARGO_HOME:-${HOME-}/.cargo}/bin
        if [ -x "$cargo_bin/cargo" ]; then
            PATH=$cargo_bin:$PATH
            export PATH
        fi
    fi
}

# at_least FOUND LEAST: dotted numbers, compared one by one.
at_least() {
    awk -v found="$1" -v least="$2" 'BEGIN {
        split(found, f, "."); n = split(least, l, ".")
        for (i = 1; i <= n; i++) if (f[i] + 0 != l[i] + 0) exit f[i] + 0 < l[i] + 0
    }'
}

# The first dotted number that a program says of itself.
version_of() {
    "$1" --version 2>/dev/null </dev/null |
        awk 'match($0, /[0-9]+(\.[0-9]+)+/) { print substr($0, RSTART, RLENGTH); exit }'
}

# A C compiler without the C library's files starts, and then links nothing.
cc_links() {
    scratch=$(mktemp -d) || return 1
    links=0
    echo 'int main(void) { return 0; }' |
        cc -x c - -o "$scratch/a.out" >/dev/null 2>&1 || links=1
    rm -rf "$scratch"
    return $links
}

# The toolchain that rustup would take here. Asking a shim (`rustc -V`) is no
# way to learn it: the shim may start to download.
rustup_name() {
    if [ -n "${RUSTUP_TOOLCHAIN-}" ]; then
        echo "$RUSTUP_TOOLCHAIN"
        return
    fi
    override=$(rustup override list 2>/dev/null | here="$(pwd -P)" awk '
        { name = $NF; sub(/[ \t]+[^ \t]+[ \t]*$/, "") } $0 == ENVIRON["here"] { print name }')
    echo "${override:-$rust_version}"
}

# Sets rust_root: the folder with bin/ and lib/ of the toolchain that a plain
# `cargo` uses here. Empty if there is none.
find_rust() {
    rust_root=
    cargo=$(command -v cargo) || return 0
    if [ -x "${cargo%/*}/rustup" ]; then
        rust_root=$(RUSTUP_AUTO_INSTALL=0 \
            rustup run "$(rustup_name)" rustc --print sysroot 2>/dev/null) || rust_root=
    elif command -v rustc >/dev/null; then
        rust_root=$(RUSTUP_AUTO_INSTALL=0 rustc --print sysroot 2>/dev/null) || rust_root=
    fi
}

# probe NAME LEAST: sets found (what there is) and where; fails if that is not
# good enough. For the Rust rows find_rust has to come before.
probe() {
    found=missing where=-
    # Without a toolchain these are in a folder that does not exist, not in /bin.
    toolchain=${rust_root:-/nonexistent}
    case $1 in
    cargo | rustc)
        where=$toolchain/bin/$1
        ;;
    clippy)
        where=$toolchain/bin/cargo-clippy
        [ -x "$toolchain/bin/clippy-driver" ] || where=-
        ;;
    rustfmt)
        where=$toolchain/bin/cargo-fmt
        [ -x "$toolchain/bin/rustfmt" ] || where=-
        ;;
    rust-src)
        where=$toolchain/lib/rustlib/src/rust/library
        if [ ! -e "$where/Cargo.lock" ]; then
            where=-
            return 1
        fi
        found=present
        return
        ;;
    certificates)
        # Where OpenSSL and rustls look, in their order; macOS has a keychain.
        for where in "${CARGO_HTTP_CAINFO-}" "${SSL_CERT_FILE-}" \
            /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
            /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
            if [ -n "$where" ] && [ -s "$where" ]; then
                found=present
                return
            fi
        done
        where=-
        return 1
        ;;
    *)
        where=$(command -v "$1") || where=-
        ;;
    esac
    if [ ! -x "$where" ]; then
        where=-
        return 1
    fi
    found=$(version_of "$where")
    if [ -z "$found" ]; then
        found="does not run"
        return 1
    fi
    case $1 in
    cargo | rustc) [ "$found" = "$2" ] ;;
    cc) cc_links || { found="$found, links nothing"; return 1; } ;;
    *) [ "$2" = - ] || at_least "$found" "$2" ;;
    esac
}
