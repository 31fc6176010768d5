#!/bin/sh
# Finds a Python that can build the environment and hands over to tools/dev.py; without one it says what to install.
# To choose one yourself: make setup PYTHON=/path/to/python3.13

probe='
import sys
if sys.version_info < (3, 11): sys.exit(1)
for name in ("venv", "ensurepip", "ssl", "sqlite3"):
    try: __import__(name)
    except ImportError: sys.exit(sys.executable + " has no module " + name)
'
lacking=
cd "$(dirname "$0")/.." || exit 1
unset PYTHONSAFEPATH

for python in "${PYTHON:-python3}" python3.14 python3.13 python3.12 python3.11 python; do
    if reason=$("$python" -c "$probe" 2>&1); then
        exec "$python" -m tools.dev "$@"
    fi
    case $reason in
        *"has no module"*) lacking=${lacking:-$reason} ;;
    esac
    [ -z "$PYTHON" ] || break
done

{
    echo "This project needs Python 3.11 or newer with venv, ensurepip, ssl and sqlite3."
    echo "${lacking:-None was found${PYTHON:+ under the name $PYTHON}}. To install it:"
    [ "$(id -u)" = 0 ] && sudo='' || sudo='sudo '
    has() { command -v "$1" >/dev/null 2>&1; }
    case $lacking in
        *.pyenv/* | */versions/*) echo "    install libsqlite3-dev and libssl-dev, then build that Python again: pyenv install --force VERSION" ;;
    esac
    if has apt-get; then
        case $lacking in
            /usr/bin/*) python=${lacking%% *} python=${python##*/} ;;
            *) python=python3 ;;
        esac
        echo "    ${sudo}apt-get install $python $python-venv"
    elif has dnf; then echo "    ${sudo}dnf install python3.12"
    elif has zypper; then echo "    ${sudo}zypper install python312"
    elif has pacman; then echo "    ${sudo}pacman -S python"
    elif has apk; then echo "    ${sudo}apk add python3"
    elif has brew; then echo "    brew install python@3.13"
    else echo "    use your system's package of Python 3.11 or newer"
    fi
    echo "If your system's Python is older: pyenv install 3.13, or uv python install 3.13; then make $1 PYTHON=/path/to/it"
} >&2
exit 1
