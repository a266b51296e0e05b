#!/bin/sh
# acls.sh BROKERS CONFIG [PRODUCER…]: gives each user of Kafka its rights, and no more. May be repeated.
#
# CONFIG is a file with the security settings of an administrator, as kafka-acls.sh takes by --command-config.
# PRODUCER: the users of direct producers, each its own. KAFKA_ACLS names the program where it has another place.
#
# Users: collector, speed, batch, operator (dead letters, topics, doctor). Where clients show certificates, USERS_SUFFIX
# and USERS_PREFIX make the names that the brokers see: USERS_PREFIX=CN= for the subject CN=collector.
set -eu
[ $# -ge 2 ] || { echo "usage: acls.sh BROKERS CONFIG [PRODUCER...]" >&2; exit 2; }
brokers=$1 config=$2
shift 2
events=${TOPIC_VIDEO_VIEWS:-video-views} letters=${TOPIC_DEAD_LETTERS:-video-views-dlq} clock=viewledger-clock
group=${SPEED_GROUP:-viewledger-speed}

allow() { # allow USER words of kafka-acls.sh
    user="User:${USERS_PREFIX:-}$1${USERS_SUFFIX:-}"
    shift
    "${KAFKA_ACLS:-kafka-acls.sh}" --bootstrap-server "$brokers" --command-config "$config" --add --force \
        --allow-principal "$user" "$@"
}

# Only the collector and the direct producers write events.
for writer in collector "$@"; do
    allow "$writer" --operation Write --operation Describe --topic "$events"
done
allow speed --operation Read --operation Describe --topic "$events" --group "$group"
allow speed --operation Write --operation Describe --topic "$letters"
allow batch --operation Read --operation Describe --topic "$events"
allow batch --operation Write --operation Describe --topic "$clock"
# A dead letter that satisfies the contract now is sent again by a person, under its own id.
allow operator --operation Read --operation Write --operation Describe --topic "$events" --topic "$letters" --topic "$clock"
allow operator --operation Create --operation Describe --operation DescribeConfigs --cluster --topic '*'
