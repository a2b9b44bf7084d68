#!/bin/sh
# The tests of the page run in Chromium. Say how to get it where it is missing; root on Debian
# gets it at once.
set -eu

for browser in chromium chromium-browser google-chrome; do
    if command -v "$browser" >/dev/null 2>&1; then
        exit 0
    fi
done

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Chromium (for the tests of the page) …"
    apt-get update -qq \
      && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null \
      && exit 0
fi

cat >&2 <<EOF
The tests of the page need Chromium; none was found.
  Debian:          sudo apt-get install chromium
  Ubuntu:          sudo snap install chromium
  Fedora, RHEL:    sudo dnf install chromium
  macOS:           brew install --cask chromium
It must be on the PATH as chromium, chromium-browser or google-chrome.
EOF
exit 1
