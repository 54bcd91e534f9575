#!/bin/sh
# Run a long command beside another one: beside.sh "LONG COMMAND" COMMAND...
# Fails if either fails; shows what the long one said when both have ended. Ctrl-C ends both.
set -u
long=$1
shift
said=$(mktemp)
# shellcheck disable=SC2086  # the words of a command, split on purpose
$long >"$said" 2>&1 &
beside=$!
stop() {
    trap '' INT TERM HUP
    kill -TERM "$beside" 2>/dev/null
    wait "$beside"
    rm -f "$said"
    exit 130
}
trap stop INT TERM HUP

"$@"
status=$?
wait "$beside"
ended=$?
echo "beside this: $long"
cat "$said"
rm -f "$said"
if [ "$ended" -ne 0 ]; then
    echo "failed with $ended: $long" >&2
    exit "$ended"
fi
exit "$status"
