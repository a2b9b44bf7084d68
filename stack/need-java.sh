#!/bin/sh
# HDFS and Spark run on Java 17 or newer. Say how to get it where it is missing; root on Debian
# gets it at once.
set -eu

java_major() {
    "$1" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1
}

java=${JAVA_HOME:+$JAVA_HOME/bin/}java
if command -v "$java" >/dev/null 2>&1 && [ "$(java_major "$java")" -ge 17 ] 2>/dev/null; then
    exit 0
fi

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 && [ -z "${JAVA_HOME:-}" ]; then
    echo "Installing Java 17 (openjdk-17-jre-headless) …"
    apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless >/dev/null && exit 0
fi

found=$(command -v "$java" >/dev/null 2>&1 && echo "version $(java_major "$java")" || echo "none")
cat >&2 <<EOF
Medloop needs Java 17 or newer for HDFS and Spark; found: $found.
  Debian, Ubuntu:  sudo apt-get install openjdk-17-jre-headless
  Fedora, RHEL:    sudo dnf install java-17-openjdk-headless
  macOS:           brew install openjdk@17
or set JAVA_HOME to where it is, then try again.
EOF
exit 1
