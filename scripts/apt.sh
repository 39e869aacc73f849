# as_root COMMAND...: runs it with the right to change this system, or says what to install.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "run as root: $*" >&2
        exit 1
    fi
}

# apt_install_from RELEASE PACKAGE...: installs or updates these from a release (`bookworm-backports`; '' is any).
apt_install_from() {
    release=$1
    shift
    echo "installing $*${release:+ from $release}"
    as_root apt-get update -qq >/dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends ${release:+-t "$release"} "$@" >/dev/null
}

# apt_install PACKAGE...: installs what is missing.
apt_install() {
    missing=
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    # shellcheck disable=SC2086
    [ -z "$missing" ] || apt_install_from '' $missing
}

# add_backports SUITE: adds the backports of this Debian from where its packages come, with the keys of these.
add_backports() {
    as_root apt-get update -qq >/dev/null
    found=$(apt-get indextargets --format '$(REPO_URI) $(SOURCESENTRY)' \
        'Identifier: Packages' 'Component: main' 'Origin: Debian' 'Label: Debian' "Codename: $1" | head -n 1)
    [ -n "$found" ] || { echo "this system has no Debian package source to take $1-backports from" >&2; exit 1; }
    uri=${found%% *}
    entry=${found#* }
    keys=$(sed -n 's/^[Ss]igned-[Bb]y: *//p; s/^deb .*signed-by=\([^] ]*\).*/\1/p' "${entry%:*}" | grep '^/' | head -n 1)
    usual=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -n "$keys" ] || [ ! -e "$usual" ] || keys=$usual
    echo "adding $1-backports"
    {
        printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\n' "$uri" "$1"
        [ -z "$keys" ] || printf 'Signed-By: %s\n' "$keys"
    } | as_root tee "/etc/apt/sources.list.d/$1-backports.sources" >/dev/null
    as_root apt-get update -qq >/dev/null
}
