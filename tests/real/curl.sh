#!/bin/bash
# SPDX-License-Identifier: MIT
#
# curl over file:// and over HTTP from a server on the loopback, one transfer
# and many in parallel. Its many libraries have constructors of their own.
# needs: curl /usr/bin/python3

curl --version | sed -n 's/^\(curl [0-9.]*\).*/\1/p; /^Protocols/p'
mkdir files
for i in $(seq 1 40); do
	seq "$i" "$((i * 2000))" >"files/$i.txt"
done
curl -s "file://$PWD/files/40.txt" | sha256sum
curl -s -r 1000-1999 "file://$PWD/files/7.txt" | wc -c
curl -s --fail "file://$PWD/files/none" || echo "status $?"

cat >server.py <<'END'
import functools, http.server, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
    functools.partial(Handler, directory="files"))
with open("port", "w") as f:
    print(server.server_port, file=f)
server.serve_forever()
END
/usr/bin/python3 server.py &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
for _ in $(seq 1 200); do
	[ -s port ] && break
	sleep 0.05
done
url=http://127.0.0.1:$(cat port)

curl -s "$url/3.txt" | cmp - files/3.txt
curl -s -I "$url/9.txt" | tr -d '\r' | grep -i '^content-'
mkdir got
curl -s --parallel --parallel-max 8 "$url/[1-40].txt" -o 'got/#1.txt'
diff -r files got && echo "all fetched"
curl -s --data-binary @files/20.txt "$url/" | sha256sum
curl -s --fail "$url/none" -o none || echo "status $?"
curl -s -w '%{http_code} %{size_download} %{num_connects}\n' -o a -o b "$url/5.txt" "$url/6.txt"
