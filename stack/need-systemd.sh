#!/bin/sh
# A test holds the units of `medloop stack install-service` against systemd itself. Say how to get
# it where it is missing; root on Debian gets it at once. Nothing of it has to run.
set -eu

command -v systemd-analyze >/dev/null 2>&1 && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing systemd (for the tests of its units) …"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends systemd >/dev/null && exit 0
fi

cat >&2 <<EOF
A test needs systemd-analyze; none was found.
  Debian, Ubuntu:  sudo apt-get install systemd
EOF
exit 1
