#!/bin/sh
# Checks what Hearth needs from the system itself. Where something is missing, installs it with apt if it may do so
# without asking for a password, and otherwise names the command that does. Silent when nothing is missing.
#
#   system_packages.sh python PYTHON    a Python that Hearth supports, able to make virtual environments
#   system_packages.sh qt FOLDER        the libraries that Qt of the virtual environment FOLDER loads (Linux only)
set -eu

fail() {
    echo "hearth: $*" >&2
    exit 1
}

# apt_install PACKAGE...: true when they were installed.
apt_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    as_root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null || return 1
        as_root="sudo -n"
    fi
    echo "hearth: installing with apt: $*"
    # The lists may be old or, in a container, absent; only then is it worth the time to fetch them.
    apt_quietly "$as_root" "$@" || { $as_root apt-get update -qq && apt_quietly "$as_root" "$@"; }
}

apt_quietly() {
    as_root=$1
    shift
    $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1
}

check_python() {
    python=$1
    if ! "$python" -c "" >/dev/null 2>&1; then
        [ "$python" = python3 ] && apt_install python3 python3-venv || true
        "$python" -c "" >/dev/null 2>&1 || fail "there is no program “$python”: install Python 3.11, 3.12 or 3.13" \
            "(Debian, Ubuntu: sudo apt-get install python3 python3-venv), or name one: make PYTHON=python3.12"
    fi
    if ! "$python" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))"; then
        version=$("$python" -c "import sys; sys.stdout.write('%d.%d' % sys.version_info[:2])")
        fail "needs Python 3.11, 3.12 or 3.13, and “$python” is $version: name another, as in make PYTHON=python3.12"
    fi
    if ! "$python" -c "import venv, ensurepip" >/dev/null 2>&1; then
        package=$(basename "$python")-venv
        apt_install "$package" || true
        "$python" -c "import venv, ensurepip" >/dev/null 2>&1 || fail "“$python” cannot make virtual environments:" \
            "install its venv module (Debian, Ubuntu: sudo apt-get install $package)"
    fi
}

# What Qt lacks, one library name a line.
missing_libraries() {
    for folder in "$1"/lib/python3.*/site-packages/PySide6; do
        for file in "$folder"/QtWidgets.abi3.so "$folder"/Qt/plugins/platforms/libqxcb.so \
            "$folder"/Qt/plugins/platforms/libqwayland.so; do
            if [ -e "$file" ]; then ldd "$file"; fi
        done
    done | sed -n 's/^[[:space:]]*\([^ ]*\) => not found.*/\1/p' | sort -u
}

# The Debian package that holds a library.
package_of() {
    case $1 in
    libEGL.so.1) echo libegl1 ;;
    libGL.so.1) echo libgl1 ;;
    libX11.so.6) echo libx11-6 ;;
    libX11-xcb.so.1) echo libx11-xcb1 ;;
    libdbus-1.so.3) echo libdbus-1-3 ;;
    libfontconfig.so.1) echo libfontconfig1 ;;
    libfreetype.so.6) echo libfreetype6 ;;
    libglib-2.0.so.0 | libgthread-2.0.so.0) echo libglib2.0-0 ;;
    libwayland-client.so.0 | libwayland-cursor.so.0) echo "$1" | sed 's/\.so\.//' ;;
    libwayland-egl.so.1) echo libwayland-egl1 ;;
    libxcb.so.1) echo libxcb1 ;;
    libxcb-icccm.so.4 | libxcb-*.so.[01]) echo "$1" | sed 's/\.so\.//' ;;
    libxkbcommon.so.0) echo libxkbcommon0 ;;
    libxkbcommon-x11.so.0) echo libxkbcommon-x11-0 ;;
    *) return 1 ;;
    esac
}

check_qt() {
    [ "$(uname -s)" = Linux ] && command -v ldd >/dev/null 2>&1 || return 0
    missing=$(missing_libraries "$1")
    [ -n "$missing" ] || return 0

    packages=$(for library in $missing; do package_of "$library" || true; done | sort -u | tr '\n' ' ')
    # The names are ours and hold no spaces, so they may split here.
    # shellcheck disable=SC2086
    [ -n "$packages" ] && apt_install $packages || true
    missing=$(missing_libraries "$1" | tr '\n' ' ')
    [ -n "$missing" ] || return 0

    if command -v apt-get >/dev/null 2>&1 && [ -n "$packages" ]; then
        fail "Qt needs libraries of the system: sudo apt-get install $packages"
    elif command -v dnf >/dev/null 2>&1; then
        provides=$(for library in $missing; do printf "'%s()(64bit)' " "$library"; done)
        fail "Qt needs libraries of the system: sudo dnf install $provides"
    fi
    fail "Qt needs libraries of the system; install the packages that hold $missing"
}

case ${1-} in
python) check_python "$2" ;;
qt) check_qt "$2" ;;
*) fail "usage: system_packages.sh python PYTHON | qt FOLDER" ;;
esac
