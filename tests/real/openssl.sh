#!/bin/bash
# SPDX-License-Identifier: MIT
#
# openssl: speed for its status and shape, keys, certificates, ciphers, digests.
# needs: openssl

openssl speed -seconds 1 -bytes 8192 -evp sha256 2>speed.err |
	sed -n 's/  *[0-9.]*k$/ N/; /^sha256/p'
openssl speed -seconds 1 -bytes 1024 -multi 2 -evp aes-128-cbc 2>speed.err |
	sed -n 's/  *[0-9.]*k$/ N/; /^AES-128-CBC/Ip'

seq 1 300000 >text
for digest in md5 sha1 sha256 sha512 sha3-256 blake2b512; do
	openssl dgst "-$digest" text
done
for cipher in aes-256-cbc aes-128-ctr chacha20 camellia-192-cbc; do
	openssl enc "-$cipher" -pbkdf2 -iter 1000 -S 0011223344556677 -pass pass:word \
		-in text -out text.enc
	sha256sum <text.enc
	openssl enc -d "-$cipher" -pbkdf2 -iter 1000 -S 0011223344556677 -pass pass:word \
		-in text.enc | cmp - text
done
openssl enc -base64 -in text | openssl enc -base64 -d | cmp - text

openssl genrsa -out rsa.pem 2048 2>genrsa.err
openssl rsa -in rsa.pem -noout -check
openssl rsa -in rsa.pem -pubout -out rsa.pub 2>rsa.err
openssl dgst -sha256 -sign rsa.pem -out text.sig text
openssl dgst -sha256 -verify rsa.pub -signature text.sig text
echo secret | openssl pkeyutl -encrypt -pubin -inkey rsa.pub |
	openssl pkeyutl -decrypt -inkey rsa.pem

openssl ecparam -name prime256v1 -genkey -noout -out ca.pem
openssl req -x509 -new -key ca.pem -subj '/CN=Test CA' -days 30 -out ca.crt
for i in 1 2 3; do
	openssl genpkey -algorithm ed25519 -out "leaf$i.pem"
	openssl req -new -key "leaf$i.pem" -subj "/CN=leaf $i" -out "leaf$i.csr"
	openssl x509 -req -in "leaf$i.csr" -CA ca.crt -CAkey ca.pem -set_serial "$i" \
		-days 20 -out "leaf$i.crt" 2>x509.err
	openssl verify -CAfile ca.crt "leaf$i.crt"
	openssl x509 -in "leaf$i.crt" -noout -subject -issuer -serial
done
openssl cms -sign -in text -signer ca.crt -inkey ca.pem -binary -nodetach -out text.cms \
	-outform DER
openssl cms -verify -in text.cms -inform DER -CAfile ca.crt -purpose any 2>cms.err | cmp - text
openssl pkcs12 -export -in ca.crt -inkey ca.pem -passout pass:word -out ca.p12
openssl pkcs12 -in ca.p12 -passin pass:word -nodes | grep -c BEGIN
openssl rand 100000 | wc -c
openssl prime -generate -bits 256 | sed 's/[0-9]\{70,80\}/P/'

# One TLS session between two processes, over a socket of this directory.
mkfifo hold
exec 9<>hold
openssl s_server -unix tls.sock -key ca.pem -cert ca.crt -tls1_3 -naccept 1 -quiet \
	>received 2>server.err <hold &
server=$!
for _ in $(seq 1 200); do
	[ -S tls.sock ] && break
	sleep 0.05
done
openssl s_client -unix tls.sock -CAfile ca.crt -quiet -no_ign_eof \
	<text >client.out 2>client.err
wait "$server"
cmp received text
echo "session: $(grep -c 'verify return:1' client.err)"
