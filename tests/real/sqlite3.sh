#!/bin/bash
# SPDX-License-Identifier: MIT
#
# The sqlite3 shell over 100000 rows, in memory and in a file: indexes, joins,
# groups, transactions, vacuum, integrity check.
# needs: sqlite3

cat >work.sql <<'END'
create table item (id integer primary key, name text, class int, price real, note blob);
create table class (id integer primary key, title text);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
insert into item select i, 'item' || (i * 7919 % 100003), i * 31 % 211, i % 997 / 4.0,
	zeroblob(i % 13) from n;
with recursive n(i) as (select 0 union all select i + 1 from n where i < 210)
insert into class select i, 'class ' || i from n;
commit;
create index item_name on item (name);
create index item_class on item (class, price);
analyze;
select count(*), sum(price), min(name), max(name) from item;
select title, count(*), round(avg(price), 3) from item join class on item.class = class.id
	group by title having count(*) > 470 order by 2 desc, 1 limit 5;
select a.id, b.id from item a join item b on a.name = 'item' || b.id where a.class = 17
	order by a.id limit 3;
select count(distinct substr(name, -3)), length(group_concat(name, '')) from item;
select class, price, rank() over (partition by class order by price desc, id) r
	from item where class < 2 order by r, class limit 4;
with recursive fib(a, b) as (select 0, 1 union all select b, a + b from fib where b < 1e15)
	select max(a) from fib;
update item set note = printf('%0*d', id % 300, id) where id % 3 = 0;
delete from item where id % 5 = 0;
savepoint s;
delete from item;
rollback to s;
release s;
select count(*), sum(length(note)) from item;
select name from item where name like '%99_9%' order by length(name), name limit 3;
select json_extract(json_group_array(json_object('n', name)), '$[2].n') from item where id < 9;
explain query plan select * from item where name = 'x';
pragma integrity_check;
END

sqlite3 -batch -bail :memory: <work.sql
echo "in a file:"
sqlite3 -batch -bail file.db 'pragma journal_mode=wal; pragma cache_size=200'
sqlite3 -batch -bail file.db <work.sql
sqlite3 -batch -bail file.db vacuum '.backup copy.db'
sqlite3 -batch copy.db 'select count(*) from item' 'pragma integrity_check' .schema
sqlite3 -batch copy.db '.dump item' | sha256sum
sqlite3 -batch -csv -header copy.db 'select * from item where id % 9973 = 1 order by id' |
	cut -c 1-60
