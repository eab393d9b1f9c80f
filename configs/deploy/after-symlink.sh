#!/bin/sh
# After `current` points to the new release: the last step of Capistrano, Deployer, Envoyer, or of a script of your own.
#
#     Capistrano  after "deploy:published", "workers:restart", which runs this once
#     Envoyer     a hook after "Activate New Release", on one server
#     Deployer    after('deploy:symlink', 'workers:restart')
#
# Run it once for a deploy, not once a host: it restarts the whole fleet. It needs FLEETD_REDIS and FLEETD_FLEET, or a
# host of the fleet whose daemon the caller may command. A deploy that ends in an error here has its old workers running
# wherever the new ones did not come up.
set -eu

label=${1:-}
if [ -z "$label" ]; then
  link=${RELEASE_LINK:-/var/www/current}
  release=$(readlink -e "$link") || { echo "workers: $link leads nowhere: set RELEASE_LINK" >&2; exit 2; }
  label=$(basename "$release")
fi

status=0
fleetd restart --graceful --label "$label" --timeout 30m || status=$?

case $status in
  0) ;;
  1) echo "workers: the new release does not come up, or a host is gone; the old workers go on" >&2 ;;
  3) echo "workers: no host of the fleet is there" >&2 ;;
  4) echo "workers: no way to the fleet's Redis, see above" >&2 ;;
  5) echo "workers: not all have finished their jobs yet; they are replaced as they do" >&2 ;;
esac
exit "$status"
