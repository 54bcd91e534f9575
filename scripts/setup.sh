#!/bin/sh
# Make the virtual environment and install what a command needs: setup.sh demo|viewer|dev
# Says in one sentence what it cannot install and how to.
set -eu
extra=$1
python=${PYTHON:-python3}
venv=.venv
stamp=$venv/.ready-$extra

fail() {
    echo "setup: $1" >&2
    exit 1
}

can_apt() {
    command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]
}

apt_install() {
    apt-get update -q >/dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@" >/dev/null 2>&1
}

need_packages() {
    # Installs the Debian packages given, or says how to.
    echo "setup: installing Debian packages: $*"
    if ! can_apt || ! apt_install "$@"; then
        fail "these Debian packages are needed and could not be installed here; run: sudo apt-get install $*"
    fi
}

has_library() {
    ldconfig -p 2>/dev/null | grep -q "$1"
}

missing_packages() {
    # What the tests and the desktop console need beside Python, as Debian packages that are not there yet.
    if [ "$extra" = dev ]; then
        command -v mosquitto >/dev/null 2>&1 || [ -x /usr/sbin/mosquitto ] || echo mosquitto
        command -v chromium >/dev/null 2>&1 || echo chromium
        command -v openssl >/dev/null 2>&1 || echo openssl
        has_library libatomic.so.1 || echo libatomic1 # the driver of the browser tests
        [ -n "$(find /usr/share/fonts -iname '*cjk*' 2>/dev/null | head -n 1)" ] || echo fonts-noto-cjk
    fi
    if [ "$extra" = dev ] || [ "$extra" = viewer ]; then
        has_library libEGL.so.1 || echo libegl1
        has_library libGL.so.1 || echo libgl1
        has_library libxkbcommon.so.0 || echo libxkbcommon0
        has_library libdbus-1.so.3 || echo libdbus-1-3
        has_library libfontconfig.so.1 || echo libfontconfig1
        has_library libglib-2.0.so.0 || echo libglib2.0-0
        for name in xkbcommon-x11.so.0:libxkbcommon-x11-0 xcb-cursor.so.0:libxcb-cursor0 \
            xcb-icccm.so.4:libxcb-icccm4 xcb-image.so.0:libxcb-image0 xcb-keysyms.so.1:libxcb-keysyms1 \
            xcb-randr.so.0:libxcb-randr0 xcb-render-util.so.0:libxcb-render-util0 xcb-shape.so.0:libxcb-shape0 \
            xcb-sync.so.1:libxcb-sync1 xcb-xfixes.so.0:libxcb-xfixes0 xcb-xkb.so.1:libxcb-xkb1; do
            has_library "lib${name%%:*}" || echo "${name##*:}"
        done
    fi
}

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "Python 3.11 or newer is needed as '$python' (set PYTHON=... to another one)"

packages=$(missing_packages)
# shellcheck disable=SC2086  # a list of package names, split on purpose
[ -z "$packages" ] || need_packages $packages

if [ ! -f "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    if [ ! -x "$venv/bin/pip" ]; then
        "$python" -c 'import ensurepip' 2>/dev/null ||
            need_packages "python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
        "$python" -m venv "$venv" || fail "could not make the virtual environment in $venv"
    fi
    echo "setup: installing Python packages for '$extra' into $venv (the first time takes a minute or two)"
    "$venv/bin/pip" install -q --disable-pip-version-check -e ".[$extra]" ||
        fail "pip could not install the packages named in pyproject.toml; is a package index reachable?"
    touch "$stamp"
fi
