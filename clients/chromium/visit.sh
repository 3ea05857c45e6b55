#!/bin/sh
# visit.sh DIR ANCHORS SERVER_NAME HOST PORT
#
# One page in a Chromium with a new profile, whose user's NSS database holds the anchors and nothing else.
set -eu
dir=$1 anchors=$2 server_name=$3 host=$4 port=$5
here=$(dirname "$0")
mkdir -p "$dir/.pki"
cp -r "$here/nssdb" "$dir/.pki/nssdb"
awk -v prefix="$dir/anchor-" '/^-----BEGIN/ { file = prefix (++n) ".pem" } file { print > file }' "$anchors"
for anchor in "$dir"/anchor-*.pem; do
    [ -e "$anchor" ] && echo "-A -d sql:$dir/.pki/nssdb -t C,, -n $(basename "$anchor" .pem) -i $anchor"
done >"$dir/batch"
[ ! -s "$dir/batch" ] || certutil -B -d "sql:$dir/.pki/nssdb" -i "$dir/batch" || exit 70

# --no-sandbox: a container without capabilities has no means for Chromium's own, and is one itself.
exec /usr/lib/chromium/chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --disable-breakpad \
    --disable-extensions --disable-dev-shm-usage --no-proxy-server --user-data-dir="$dir/profile" \
    --host-resolver-rules="MAP $server_name $host, MAP * ~NOTFOUND, EXCLUDE $host" --enable-logging=stderr --dump-dom "https://$server_name:$port/"
