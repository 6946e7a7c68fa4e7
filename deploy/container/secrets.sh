#!/bin/sh
# Makes the secrets that compose.yaml names, each in a file of its own: sh deploy/container/secrets.sh [FOLDER]. One that exists stays. Run by "npm run trial:container" and by
# test/deploy/container.
set -eu
folder=${1:-$(dirname "$0")/secrets}
# Only root and its owner enter the folder. The files themselves are readable, since each container reads its own as another user.
mkdir -p "$folder"
chmod 700 "$folder"
for name in database-root database database-migrate mqtt-portfolio-priority mqtt-worker mqtt-scheduler mqtt-notifier mqtt-gateway mqtt-cli mqtt-monitor mqtt-hook; do
  [ -s "$folder/$name" ] && continue
  head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$folder/$name.new"
  chmod 444 "$folder/$name.new"
  mv "$folder/$name.new" "$folder/$name"
done
