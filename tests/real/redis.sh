#!/bin/bash
# SPDX-License-Identifier: MIT
#
# redis-server on a Unix socket under its own benchmark with pipelining; then
# what it holds, a save by a forked child, an orderly shutdown. Debian links it
# with jemalloc: its mallctl stays there while malloc and free are ours.
# needs: redis-server redis-cli redis-benchmark

cli()
{
	redis-cli -s redis.sock "$@"
}

redis-server --port 0 --unixsocket redis.sock --save '' --appendonly no \
	--logfile server.log --dir . --hash-max-listpack-entries 64 &
server=$!
for _ in $(seq 1 200); do
	[ -S redis.sock ] && cli ping >answer 2>/dev/null && break
	sleep 0.05
done
cat answer

# 500 random keys are all met in 20000 draws, so the counts repeat.
redis-benchmark -s redis.sock -q -P 16 -n 20000 -r 500 -d 700 \
	-t set,get,lpush,hset,zadd >benchmark.log
redis-benchmark -s redis.sock -q -P 16 -n 2000 -t lrange_100 >>benchmark.log
for command in SET GET LPUSH HSET ZADD 'LRANGE_100 (first 100 elements)'; do
	tr '\r' '\n' <benchmark.log | grep -c "^$command: .*requests per second" | sed 's/^[1-9].*/ran/'
done
cli dbsize
cli strlen key:000000000123
cli hlen myhash
cli zcard myzset
cli llen mylist
cli lrange mylist 0 1 | sort -u | tr -d '\n' | wc -c

cli eval 'local s = 0
	for i = 1, 20000 do
		redis.call("rpush", "numbers", i)
		redis.call("sadd", "set", "member" .. i % 7001)
		redis.call("append", "text", "word " .. i .. " ")
		s = s + i
	end
	return s' 0
cli scard set
cli strlen text
cli getrange text 100 140
cli lrange numbers 9998 10001
cli sort numbers DESC LIMIT 5 3
cli setrange sparse 3000000 end
cli del sparse text set
cli memory purge
cli bgsave
for _ in $(seq 1 200); do
	cli info persistence | tr -d '\r' | grep -q '^rdb_bgsave_in_progress:0' && break
	sleep 0.05
done
cli info persistence | tr -d '\r' | grep '^rdb_last_bgsave_status'
redis-check-rdb dump.rdb | grep -c 'RDB looks OK'
cli flushall async
cli dbsize

cli shutdown nosave
status=0
wait "$server" || status=$?
echo "server ended with $status"
grep -c -i -E 'crashed|bug report|guru|assert|sigsegv' server.log || true
