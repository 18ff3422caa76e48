#!/usr/bin/env bash
# The frozen app on a machine without Python and without a network: an empty root with the C library alone.
#   packaging/bare_root.sh dist/edge-ttp
# Imports, answers, is told what was sent, forgets. Needs root (chroot), unshare and the C library of this Debian.
set -euo pipefail
bundle=$(realpath "$1")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{proc,dev,tmp,opt,home,lib64,usr/lib,usr/bin,etc} && ln -s usr/lib "$root/lib" && ln -s usr/bin "$root/bin"
# All that libc6 and zlib1g bring (PyInstaller's loader needs both), and a shell; no Python.
for file in $(dpkg -L libc6 zlib1g | grep -E '^/(usr/)?lib(64)?/.*\.so'); do
  [ -f "$file" ] && install -D "$file" "$root$file"
done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
install -D /bin/dash "$root/usr/bin/sh"
cp -a "$bundle" "$root/opt/edge-ttp"
mknod -m 666 "$root/dev/null" c 1 3 && mknod -m 666 "$root/dev/urandom" c 1 9 && mknod -m 666 "$root/dev/random" c 1 8
cat > "$root/home/mine.jsonl" <<'LINES'
{"input": "Lift 1 was repaired.", "output": "lift 1 is alive!!"}
{"input": "Lift 2 was repaired.", "output": "lift 2 is alive!!"}
{"input": "Lift 3 was repaired.", "output": "lift 3 is alive!!"}
LINES
cat > "$root/home/way.sh" <<'WAY'
set -eu
export EDGE_TTP_HOME=/home/edge HOME=/home PATH=/bin
app=/opt/edge-ttp/edge-ttp
[ ! -e /usr/bin/python3 ]
step() { echo "== $*"; }
step models pull; $app models pull
step import; $app history import /home/mine.jsonl
step answer; $app generate "Lift 4 was repaired." --n 4 --json > /home/answer.json
id=$(sed -n 's/.*"generation_id": "\([^"]*\)".*/\1/p' /home/answer.json)
step feedback "$id"; $app feedback "$id" --edit "lift 4 lives!!"
step forget; $app history forget --all --yes
step doctor; $app doctor || true
echo "the whole way is done"
WAY
cp "$(command -v sed)" "$root/usr/bin/sed"
for file in $(ldd /bin/sed | grep -oE '/[^ ]+\.so[^ ]*'); do install -D "$file" "$root$file"; done
# --net: a network namespace of its own with nothing in it, not even loopback that is up.
unshare --net --mount --pid --fork sh -c "mount -t proc proc '$root/proc' && chroot '$root' /bin/sh /home/way.sh"
