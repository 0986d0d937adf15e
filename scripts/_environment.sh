# Sourced by the scripts beside it: finds a Python, makes .venv once, reuses it while nothing changed.
# Sets: ROOT, PYTHON (inside the environment). Call: prepare_environment "" or "dev".

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

find_python() {
    local name
    for name in "${OPTMM_PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
        [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 || continue
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2])' >/dev/null 2>&1; then
            echo "$name"
            return 0
        fi
    done
    echo "optmm needs Python 3.11 or later and found none. Install one, or set OPTMM_PYTHON to it." >&2
    return 1
}

check_venv() {
    if ! "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "Python's venv module is missing (Debian and Ubuntu ship it apart)." >&2
        echo "Install it, for example: sudo apt-get install python3-venv" >&2
        return 1
    fi
}

prepare_environment() {
    local extra=$1 venv=${OPTMM_VENV:-$ROOT/.venv} base stamp want
    base=$(find_python) || return 1
    PYTHON=$venv/bin/python
    stamp=$venv/.optmm-$( [ -n "$extra" ] && echo "$extra" || echo run)
    want=$(cat "$ROOT/constraints.txt" "$ROOT/pyproject.toml" | cksum)
    if [ -x "$PYTHON" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
        return 0
    fi
    check_venv "$base" || return 1
    if [ ! -x "$PYTHON" ]; then
        echo "making the environment in .venv (once; about a minute) ..." >&2
        "$base" -m venv "$venv" || return 1
    else
        echo "bringing the environment in .venv up to date ..." >&2
    fi
    # pip byte-compiles what it installs, so the first start does not have to
    "$PYTHON" -m pip install --quiet --disable-pip-version-check --compile \
        -c "$ROOT/constraints.txt" -e "$ROOT${extra:+[$extra]}" || return 1
    echo "$want" >"$stamp"
    if [ -n "$extra" ]; then echo "$want" >"$venv/.optmm-run"; fi
}
