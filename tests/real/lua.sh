#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Lua: every object is a realloc, and the collector frees in its own order.
# needs: lua5.4

cat >work.lua <<'END'
local function checksum(s)
	local a, b = 1, 0
	for i = 1, #s do
		a = (a + s:byte(i)) % 65521
		b = (b + a) % 65521
	end
	return b << 16 | a
end

local t, state = {}, 4711
local function number(n)
	state = (state * 1103515245 + 12345) & 0x7fffffff
	return (state >> 8) % n
end

for i = 1, 300000 do
	local key = "key" .. number(30000)
	t[key] = (i % 4 ~= 0) and { i, name = ("n"):rep(number(60)) } or nil
end
local keys = {}
for k, v in pairs(t) do
	keys[#keys + 1] = k .. "=" .. #v.name
end
table.sort(keys)
print("table", #keys, checksum(table.concat(keys, ",")))

local parts = {}
for i = 1, 30000 do
	parts[#parts + 1] = string.format("%d:%x;", i, i * i)
end
local text = table.concat(parts)
local n = select(2, text:gsub("(%d+):(%x+);", "%2=%1,"))
print("gsub", n, checksum((text:gsub("(%d+):(%x+);", "%2=%1,"))))
local grown = ""
for i = 1, 4000 do
	grown = grown .. i .. " "
end
print("grown", #grown, checksum(grown))

local function walk(depth)
	if depth == 0 then
		coroutine.yield(1)
	else
		walk(depth - 1)
		walk(depth - 1)
	end
end
local sum = 0
for c = 1, 200 do
	for v in coroutine.wrap(function() walk(6) end) do
		sum = sum + v * c
	end
end
print("coroutines", sum)

local closed = 0
for mode = 1, 2 do
	collectgarbage(mode == 1 and "incremental" or "generational")
	for i = 1, 100000 do
		local meta = i % 100 == 0 and { __gc = function() closed = closed + 1 end } or nil
		local o = setmetatable({ i }, meta)
		if i % 1000 == 0 then
			t[i] = { o, weak = setmetatable({ o }, { __mode = "v" }) }
		end
	end
end
t = nil
collectgarbage()
collectgarbage()
print("gc", closed)
local ok, message = pcall(string.rep, "x", 1 << 60)
print("too large", ok, message)
local chunk = load("local a = {} for i = 1, 50000 do a[i] = i end return #a")
print("load", chunk(), #string.dump(chunk) > 0)
END

lua5.4 work.lua
