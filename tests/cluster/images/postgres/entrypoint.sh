#!/bin/sh
# Start Postgres; at the first start only, make the database cluster. The variables are those of the public image:
# POSTGRES_USER, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_DB, POSTGRES_INITDB_ARGS, PGDATA.
set -eu
umask 0077

case "${1:-postgres}" in
  postgres) [ "$#" -eq 0 ] || shift ;;
  -*) ;;
  *) exec "$@" ;;
esac

# Sockets where the public image has them, as far as a read-only file system allows it.
sockets=""
for folder in /var/run/postgresql /tmp; do
  if [ -w "$folder" ]; then sockets="${sockets:+$sockets,}$folder"; fi
done

initialise() {
  user="${POSTGRES_USER:-postgres}"
  database="${POSTGRES_DB:-$user}"
  if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    password="$(cat "$POSTGRES_PASSWORD_FILE")"
  else
    password="${POSTGRES_PASSWORD:-}"
  fi
  if [ -z "$password" ]; then
    echo "POSTGRES_PASSWORD_FILE or POSTGRES_PASSWORD must be set at the first start" >&2
    exit 1
  fi
  # Beside its place and then moved, where that can be: a start that is cut short leaves nothing half made.
  target="$PGDATA"
  if mkdir -p "$(dirname "$PGDATA")" && [ -w "$(dirname "$PGDATA")" ] && ! [ -e "$PGDATA" ]; then
    target="$PGDATA.initialising"
    rm -rf "$target"
  fi
  pwfile="$(mktemp -p "${TMPDIR:-$(dirname "$target")}" 2>/dev/null || mktemp)"
  printf '%s\n' "$password" > "$pwfile"
  # Word splitting of POSTGRES_INITDB_ARGS is meant.
  # shellcheck disable=SC2086
  initdb -D "$target" -U "$user" --pwfile="$pwfile" --encoding=UTF8 --auth-local=trust --auth-host=scram-sha-256 \
    --set listen_addresses='*' --set unix_socket_directories="$sockets" ${POSTGRES_INITDB_ARGS:-}
  rm -f "$pwfile"
  echo "host all all all scram-sha-256" >> "$target/pg_hba.conf"
  if [ "$database" != postgres ]; then
    quoted="$(printf '%s' "$database" | sed 's/"/""/g')"
    echo "CREATE DATABASE \"$quoted\"" | postgres --single -D "$target" postgres > /dev/null
  fi
  [ "$target" = "$PGDATA" ] || mv "$target" "$PGDATA"
}

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initialise
fi
# fsGroup opens the folder to the group at every mount, which Postgres refuses.
chmod 0700 "$PGDATA"
exec postgres -D "$PGDATA" -c unix_socket_directories="$sockets" "$@"
