#!/usr/bin/env bash
# Runs as PID 1 of new namespaces: makes a root of its own above the machine's, and becomes systemd in it.
#   boot_systemd.sh WORK DIRECTORY…      WORK is an empty directory; each DIRECTORY is the same one inside
# Nothing that happens inside reaches the machine, but for what is written to the directories.
set -euo pipefail
work=$1
shift

ip link set lo up
hostname fleetd-test
mount -t tmpfs -o mode=755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
root=$work/root

# What the machine has enabled is not started here, and this is another machine.
rm -rf "$root"/etc/systemd/{system,user} "$root"/etc/rc?.d "$root/etc/fstab" "$root"/var/log/journal "$root/var/lib/systemd" \
  "$root/etc/fleetd" "$root/var/lib/fleetd" "$root/var/log/fleetd"
mkdir -p "$root/etc/systemd/system" "$root/var/log/journal" "$root/var/lib/systemd"
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
echo fleetd-test >"$root/etc/hostname"
echo '127.0.0.1 localhost fleetd-test' >"$root/etc/hosts"
for unit in systemd-{journald-audit.socket,modules-load.service,sysctl.service,udevd.service,timesyncd.service} \
  systemd-tmpfiles-clean.timer sys-{kernel-debug,kernel-tracing,fs-fuse-connections}.mount dev-hugepages.mount getty.target; do
  ln -s /dev/null "$root/etc/systemd/system/$unit"
done

mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys" # read-only: these are the settings of the machine's kernel
mount -o remount,bind,ro "$root/proc/sys"
[ ! -e "$root/proc/sysrq-trigger" ] || mount --bind /dev/null "$root/proc/sysrq-trigger"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"

mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for number in 0 1 2; do ln -s "/proc/self/fd/$number" "$root/dev/$(echo stdin stdout stderr | cut -d' ' -f$((number + 1)))"; done
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
for directory in "$@"; do
  mkdir -p "$root$directory"
  mount --rbind "$directory" "$root$directory"
done

mkdir "$root/run/.old"
cd "$root"
pivot_root . run/.old
# Neither the clock of the machine nor its kernel is in reach.
exec chroot . /bin/sh -c 'umount -l /run/.old; rmdir /run/.old
  exec setpriv --bounding-set -sys_time,-sys_module,-sys_rawio,-syslog,-wake_alarm \
    env -i container=fleetd-test PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target'
