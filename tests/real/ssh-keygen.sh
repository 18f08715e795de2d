#!/bin/bash
# SPDX-License-Identifier: MIT
#
# ssh-keygen: keys of all kinds, fingerprints, certificates, signatures. It
# wipes and frees secrets with freezero and recallocarray of its own.
# needs: ssh-keygen

for kind in 'rsa 2048' 'ecdsa 384' 'ed25519 256'; do
	read -r type bits <<<"$kind"
	ssh-keygen -q -t "$type" -b "$bits" -N '' -C "$type key" -f "$type"
	ssh-keygen -l -f "$type.pub" | sed 's/SHA256:[^ ]*/HASH/'
	ssh-keygen -y -f "$type" | cmp - "$type.pub"
	ssh-keygen -q -p -P '' -N 'a pass phrase' -f "$type" >changed
	ssh-keygen -y -P 'a pass phrase' -f "$type" | cmp - "$type.pub"
	ssh-keygen -q -p -P 'a pass phrase' -N '' -f "$type" >changed
	ssh-keygen -e -m RFC4716 -f "$type.pub" >"$type.rfc"
	ssh-keygen -i -m RFC4716 -f "$type.rfc" | cut -d' ' -f1
done

for key in rsa ecdsa ed25519; do
	seq 1 20000 >text
	ssh-keygen -q -Y sign -f "$key" -n file text 2>sign.err
	echo "author $(cut -d' ' -f1,2 "$key.pub")" >allowed
	ssh-keygen -Y verify -f allowed -I author -n file -s text.sig <text |
		sed 's/SHA256:.*/HASH/'
	rm text.sig
done
ssh-keygen -q -s ed25519 -I identity -n user -z 17 -V 20200101:20400101 rsa.pub
ssh-keygen -L -f rsa-cert.pub | grep -E 'Type|Key ID|Serial|Valid|user'
for i in $(seq 1 200); do
	echo "host$i.example.org $(cut -d' ' -f1,2 ed25519.pub)"
done >known_hosts
ssh-keygen -H -f known_hosts >hashed 2>&1
ssh-keygen -F host77.example.org -f known_hosts | grep -c found
ssh-keygen -R host77.example.org -f known_hosts >removed 2>&1
wc -l <known_hosts
ssh-keygen -lv -f ecdsa.pub | wc -l
