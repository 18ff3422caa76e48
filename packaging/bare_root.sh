#!/usr/bin/env bash
# The frozen app on a machine without Python and without a network: an empty root with the C library alone.
#   packaging/bare_root.sh dist/edge-ttp                  the folder
#   packaging/bare_root.sh dist/edge-ttp_0.1.0_amd64.deb  the package, put there by dpkg
# Imports, answers, is told what was sent, takes a model file from elsewhere (and refuses a broken one), forgets.
# Needs root (chroot), unshare and the C library of this Debian.
set -euo pipefail
given=$(realpath "$1")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{proc,dev,tmp,opt,home,lib64,usr/lib,usr/bin,etc} && ln -s usr/lib "$root/lib" && ln -s usr/bin "$root/bin"
# All that libc6 and zlib1g bring (PyInstaller's loader needs both), and a shell; no Python.
for file in $(dpkg -L libc6 zlib1g | grep -E '^/(usr/)?lib(64)?/.*\.so'); do
  [ -f "$file" ] && install -D "$file" "$root$file"
done
cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
install -D /bin/dash "$root/usr/bin/sh"
if [ -d "$given" ]; then
  cp -a "$given" "$root/opt/edge-ttp"
else
  mkdir -p "$root"/var/lib/dpkg/{info,updates,triggers} && touch "$root"/var/lib/dpkg/{status,available}
  # What it depends on is for the window: without a screen the C library does.
  dpkg --root="$root" --force-depends --install "$given" 2>&1 | grep -vE 'depends on|is not installed|dependency problems' || true
  [ "$(dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${db:Status-Status}' edge-ttp)" = installed ]
fi
mknod -m 666 "$root/dev/null" c 1 3 && mknod -m 666 "$root/dev/urandom" c 1 9 && mknod -m 666 "$root/dev/random" c 1 8
cat > "$root/home/mine.jsonl" <<'LINES'
{"input": "Lift 1 was repaired.", "output": "lift 1 is alive!!"}
{"input": "Lift 2 was repaired.", "output": "lift 2 is alive!!"}
{"input": "Lift 3 was repaired.", "output": "lift 3 is alive!!"}
LINES
# A model file from elsewhere: tried in a process of its own before it is taken, which a frozen app starts of itself.
model=$(find "$root/opt/edge-ttp" -name '*.gguf' -size +20M | head -1)
[ -n "$model" ] && cp "$model" "$root/home/foreign.gguf" && head -c 3000000 "$model" > "$root/home/broken.gguf"
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
if [ -e /home/foreign.gguf ]; then
  step a model file from elsewhere; $app models add /home/foreign.gguf --name foreign
  $app generate "Lift 5 was repaired." --n 2 --model foreign
  if $app models add /home/broken.gguf --name broken; then echo "a broken file was taken"; exit 1; fi
fi
step forget; $app history forget --all --yes
[ "$($app history export --all | sed -n '$=')" = "" ]
step doctor; $app doctor || true
echo "the whole way is done"
WAY
cp "$(command -v sed)" "$root/usr/bin/sed"
for file in $(ldd /bin/sed | grep -oE '/[^ ]+\.so[^ ]*'); do install -D "$file" "$root$file"; done
# --net: a network namespace of its own with nothing in it, not even loopback that is up.
unshare --net --mount --pid --fork sh -c "mount -t proc proc '$root/proc' && chroot '$root' /bin/sh /home/way.sh"
