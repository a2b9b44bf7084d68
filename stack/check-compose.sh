#!/usr/bin/env bash
# Hold docker-compose.yml against Compose itself, which needs no container engine for that.
# Without `docker compose` on this machine it is built with Go, once, into .tools/.
set -euo pipefail
cd "$(dirname "$0")/.."

release=v2.40.3
if docker compose version > /dev/null 2>&1; then
  compose=(docker compose)
else
  compose=(.tools/compose)
  if [ ! -x .tools/compose ]; then
    echo "Building Compose $release with Go (a few minutes) …"
    folder=$(go mod download -json "github.com/docker/compose/v2@$release" \
      | python3 -c "import json, sys; print(json.load(sys.stdin)['Dir'])")
    sources=$(mktemp -d)
    trap 'chmod -R u+w "$sources"; rm -rf "$sources"' EXIT
    cp -r "$folder/." "$sources"
    chmod -R u+w "$sources"
    mkdir -p .tools
    (cd "$sources" && go build -o compose ./cmd)
    mv "$sources/compose" .tools/compose
  fi
fi

if "${compose[@]}" --env-file .env.example config --quiet 2> /dev/null; then
  echo "✗ Compose accepts the file without its secrets."
  exit 1
fi
echo "✓ without its secrets it is refused"

secrets=$(mktemp)
sed 's/^POSTGRES_PASSWORD=$/&of-a-check/' .env.example > "$secrets"
"${compose[@]}" --env-file "$secrets" config --quiet
echo "✓ with them it is accepted by $("${compose[@]}" version 2> /dev/null | head -1)"
rm "$secrets"
