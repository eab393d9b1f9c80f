#!/usr/bin/env bash
# Installs the Debian packages of the real-framework tests where that needs no question: as root, or with sudo that asks
# for no password. Elsewhere it says what is missing, and the tests that need it are skipped. In CI, and for make
# test-full, also the servers; in CI what the benchmark needs, a C compiler, for cut networks iproute2, and systemd,
# which the tests run as PID 1 of namespaces.
set -euo pipefail

wanted=()
command -v sidekiq >/dev/null || wanted+=(ruby-sidekiq)
compgen -G '/usr/share/rubygems-integration/all/specifications/activejob-*' >/dev/null || wanted+=(ruby-activejob)
compgen -G '/usr/lib/php/*/pdo_sqlite.so' >/dev/null || wanted+=(php-sqlite3)
php -r "exit(extension_loaded('redis') && stream_resolve_include_path('Illuminate/autoload.php') ? 0 : 1);" >/dev/null 2>&1 ||
  wanted+=(php-cli php-laravel-framework php-redis)
if [ "${CI:-}" = true ] || [ "${FULL:-}" = true ]; then
  command -v redis-server >/dev/null || wanted+=(redis-server)
  [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || wanted+=(rabbitmq-server)
  compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || wanted+=(postgresql)
  command -v promtool >/dev/null || wanted+=(prometheus)
fi
if [ "${CI:-}" = true ]; then
  command -v cc >/dev/null || wanted+=(gcc libc6-dev)
  command -v ip >/dev/null || wanted+=(iproute2)
  [ -x /lib/systemd/systemd ] || wanted+=(systemd)
  command -v dbus-daemon >/dev/null || wanted+=(dbus)
  compgen -G '/lib/*/security/pam_systemd.so' >/dev/null || wanted+=(libpam-systemd)
fi
if [ "${FULL:-}" = true ]; then # for make test-full
  [ -x /usr/sbin/mariadbd ] || wanted+=(mariadb-server-core)
  command -v my_print_defaults >/dev/null || wanted+=(mariadb-client-core) # mariadb-install-db needs it
fi
[ ${#wanted[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  echo "not installed, its tests are skipped: ${wanted[*]} (no apt-get here)" >&2
  exit 0
fi
# In runlevel 1 what is installed is not started, where no systemd runs: the tests start servers of their own.
if [ "$(id -u)" = 0 ]; then
  as_root=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1)
elif sudo -n true 2>/dev/null; then
  as_root=(sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1)
else
  echo "not installed, its tests are skipped: ${wanted[*]} (apt-get install them to run these tests)" >&2
  exit 0
fi

echo "installing ${wanted[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ "${as_root[@]}" apt-get update && "${as_root[@]}" apt-get install -y --no-install-recommends "${wanted[@]}"; } </dev/null >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  echo "apt-get could not install ${wanted[*]}; their tests are skipped (in CI they fail)" >&2
}
