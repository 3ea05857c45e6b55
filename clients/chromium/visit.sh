#!/bin/sh
# visit.sh DIR ANCHORS AUTHORITY HOST PORT
#
# One page in a Chromium with a new profile, whose user's NSS database holds the anchors and nothing else.
set -eu
dir=$1 anchors=$2 authority=$3 host=$4 port=$5
here=$(dirname "$0")
case $authority in
\[*) asked='*:*' ;; # rules know an IPv6 address without brackets, in its canonical form
*) asked=$authority ;;
esac
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
    --host-resolver-rules="MAP $asked $host, MAP * ~NOTFOUND, EXCLUDE $host" --enable-logging=stderr --dump-dom "https://$authority:$port/"
