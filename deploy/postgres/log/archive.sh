#!/bin/sh
# Keeps one piece of PostgreSQL's log for good. In postgresql.conf, with the archive on another machine:
#   archive_command = '/opt/viewledger/deploy/postgres/log/archive.sh %p %f /wal'
# A piece is there as a whole or not at all, and on the disk before PostgreSQL may forget it. After a crash PostgreSQL
# archives a piece again: the same content is fine, another one is refused, since two servers write to one archive then.
set -eu
if [ $# -ne 3 ] || [ ! -d "${3:-}" ]; then
    echo "archive.sh: needs the path and the name of a piece, and the folder of the archive, which must exist" >&2
    exit 2
fi
path=$1 name=$2 archive=$3
if [ -e "$archive/$name" ]; then
    cmp -s "$path" "$archive/$name" && exit 0
    echo "archive.sh: $archive/$name has another content than $path; each server needs an archive of its own" >&2
    exit 1
fi
cp "$path" "$archive/.$name.part"
sync "$archive/.$name.part"
mv "$archive/.$name.part" "$archive/$name"
sync "$archive"
