#!/bin/sh
# Prepares a data folder of PostgreSQL from a base backup and the archived log, up to an instant or as far as the log goes:
#   restore.sh BASE ARCHIVE DATA [2026-11-29T14:05:00Z]
# Run it as PostgreSQL's account, with the programs of its server on the path, and then start PostgreSQL on DATA. It
# replays the log, ends at the instant and takes writes. If the archive ends before the instant, it says so and stops.
set -eu
refuse() {
    echo "restore.sh: $1" >&2
    exit 2
}
[ $# -eq 3 ] || [ $# -eq 4 ] || refuse "needs the base backup, the archive, the new data folder, and perhaps an instant"
base=$1 archive=$2 data=$3 instant=${4:-}
[ -f "$base/backup_manifest" ] || refuse "$base is not a base backup: it has no backup_manifest"
[ -d "$archive" ] || refuse "$archive is not the folder of an archive"
case "$archive" in
*[!A-Za-z0-9/._-]*) refuse "$archive: the archive's path may have letters, digits and / . _ - only" ;;
/*) ;;
*) refuse "$archive must begin with /" ;;
esac
if [ -e "$data" ] && [ -n "$(ls -A "$data")" ]; then
    refuse "$data is not empty; keep what is left of the lost server, and name a new folder"
fi
if [ -n "$instant" ]; then
    echo "$instant" | grep -Eqx '[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z' \
        || refuse "'$instant' is not an instant in UTC like 2026-11-29T14:05:00Z"
fi
pg_verifybackup --no-parse-wal --quiet "$base" || refuse "$base is not as it was made; use another base backup"
mkdir -p "$data"
chmod 700 "$data"
cp -R "$base/." "$data"
rm -f "$data/standby.signal"
{
    echo "restore_command = 'cp \"$archive/%f\" \"%p\"'"
    echo "recovery_target_action = 'promote'"
    [ -z "$instant" ] || echo "recovery_target_time = '${instant%Z}+00'"
} >>"$data/postgresql.auto.conf"
touch "$data/recovery.signal"
echo "restore.sh: $data is ready; start PostgreSQL on it. Its log names the last transaction that came back"
