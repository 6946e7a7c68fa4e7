#!/bin/sh
# Starts Mosquitto in its container with broker/mosquitto/ and a password for each account from its secret. Run by test/deploy/container and by "npm run trial:container" with the
# Mosquitto of that machine.
set -eu
folder=${STOCKMESH_BROKER:-/stockmesh}
secrets=${SECRETS:-/run/secrets}
data=${DATA:-/mosquitto/data}
made=$(mktemp -d)
touch "$made/passwords"
chmod 600 "$made/passwords"
for account in portfolio-priority worker scheduler notifier gateway cli monitor hook; do
  mosquitto_passwd -b "$made/passwords" "$account" "$(cat "$secrets/mqtt-$account")"
done
cp "$folder/access.acl" "$made/access.acl"
chmod 600 "$made/access.acl"
# In a container the listener is reached through the network of the containers alone, and what is published of it.
sed -e "s|^listener 1883 127.0.0.1$|listener ${PORT:-1883}|" -e "s|/etc/mosquitto/stockmesh/|$made/|" "$folder/mosquitto.conf" >"$made/mosquitto.conf"
printf 'persistence_location %s/\nlog_dest stdout\n' "$data" >>"$made/mosquitto.conf"
exec mosquitto -c "$made/mosquitto.conf"
