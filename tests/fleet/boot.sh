# The first program of a box: makes its folder the root of a small machine and becomes its systemd.
# usage, in new namespaces and a cgroup of their own: sh boot.sh ROOT DROPPED_CAPABILITIES
#
# What a kernel shares between all its namespaces is out of reach: its settings and devices are read-only or absent,
# and the capabilities for its clock and modules are dropped. Source: systemd.io/CONTAINER_INTERFACE.
set -eu
dropped=$2
mount --make-rprivate /
mount --rbind "$1" "$1"
cd "$1"
mount -t proc -o nosuid,nodev,noexec proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
[ ! -e proc/sysrq-trigger ] || mount --bind /dev/null proc/sysrq-trigger
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o nosuid,mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for number in 0 1 2; do ln -s "fd/$number" "dev/$(echo stdin stdout stderr | cut -d ' ' -f $((number + 1)))"; done
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs tmp
cat /proc/sys/kernel/random/uuid >run/.boot-id
mount --bind run/.boot-id proc/sys/kernel/random/boot_id
mkdir run/outside
pivot_root . run/outside
umount -l /run/outside
rmdir /run/outside
exec setpriv --bounding-set "$dropped" env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
    /lib/systemd/systemd --system --log-target=journal --show-status=0 systemd.unit=multi-user.target
