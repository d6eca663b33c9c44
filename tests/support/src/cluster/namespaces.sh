#!/usr/bin/env bash
# The first process of new mount, network and process namespaces: sets them up, runs the program it is given, and clears
# away what that leaves. Files are in memory, so they go with the mounts.
set -euo pipefail
[[ $$ == 1 ]] || exit 1 # all processes are killed below
trap : INT TERM HUP     # for the program

mount --make-rshared / # as on any node, so that mounts of volumes reach the containers
mkdir -p /var/lib/cni
for folder in /run /var/log /var/lib/cni; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
mkdir -m 700 "$TMPDIR"

ip link set lo up
for address in "$NODE_ADDRESS" "$SERVICE_ADDRESS"; do ip address add "$address/32" dev lo; done

# One folder, or with cgroup v1 one for each controller.
mapfile -t cgroups < <(awk -v name="$OAUTH_KEEPER_CLUSTER_CGROUP" '$3 ~ /^cgroup/ { print $2 "/" name }' /proc/self/mounts)
mkdir "${cgroups[@]}"

status=0
"$@" || status=$?

kill -KILL -1 2> /dev/null || true # whoever else is in this namespace
for _ in {1..100}; do # they go when they can
  ! find "${cgroups[@]}" -depth -type d -delete 2> /dev/null || break
  sleep 0.1
done
exit "$status"
