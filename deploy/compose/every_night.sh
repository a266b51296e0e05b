#!/bin/bash
# Runs commands of viewledger one after the other at a time of each day (UTC): every_night.sh 01:10 maintain "audit ids".
# A command that finds a server away (4), or another one at work (5; of billing that is work for a person), is tried three
# times. What failed is in the log, and alerts notice what did not happen; the next night comes in any case.
set -u
at=$1
shift
pause=300

run() { # stays interruptible: a signal ends the wait, and the trap ends the command
    "$@" &
    child=$!
    wait "$child"
}

trap 'kill "${child:-}" 2>/dev/null; wait; exit 0' TERM INT

while :; do
    seconds=$((($(date -u -d "$at" +%s) - $(date +%s) + 86400) % 86400))
    touch /tmp/every_night
    echo "the next night begins in $seconds seconds"
    run sleep "$seconds"
    for command in "$@"; do
        [ -n "$command" ] || continue
        for try in 1 2 3; do
            # shellcheck disable=SC2086 # a command is several words
            run python -P -m jobs.cli $command
            code=$?
            echo "$command ended with $code (try $try)"
            case "$code $command" in
            "5 billing"*) break ;;
            "4 "* | "5 "*) ;;
            *) break ;;
            esac
            [ "$try" = 3 ] || run sleep "$pause"
        done
    done
    run sleep 60 # past the minute of this night
done
