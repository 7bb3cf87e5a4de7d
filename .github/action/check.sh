#!/usr/bin/env bash
# The steps of action.yml: `check.sh install`, then `check.sh check`. Everything comes in as an environment variable.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

# The folder that is worked in may hold a pandas.py: nothing is imported from there.
export PYTHONSAFEPATH=1

case "${1:-}" in
install)
  environment="$(mktemp -d "${RUNNER_TEMP:-/tmp}/evenset-python-XXXXXX")"
  "${EVENSET_PYTHON:-python3}" -m venv "$environment"
  python="$environment/bin/python"
  [[ -x "$python" ]] || python="$environment/Scripts/python.exe"
  spec="${EVENSET_VERSION:-.}"
  if [[ "$spec" == "." ]]; then
    spec="$(cd "$here/../.." && pwd)"
  elif [[ "$spec" =~ ^[0-9] ]]; then
    spec="evenset==$spec"
  fi
  "$python" -m pip --disable-pip-version-check install --quiet -- "$spec"
  printf 'python=%s\n' "$python" >>"$GITHUB_OUTPUT"
  ;;
check)
  exec "${EVENSET_PYTHON:-python}" "$here/check.py"
  ;;
*)
  echo "usage: check.sh install|check" >&2
  exit 2
  ;;
esac
