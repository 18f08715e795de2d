#!/bin/bash
# SPDX-License-Identifier: MIT
#
# PHP: extensions that are loaded with RTLD_DEEPBIND, arrays, strings, sorting; with its own
# allocator and without.
# needs: php

cat >work.php <<'END'
<?php
$table = [];
for ($i = 0; $i < 60000; $i++)
	$table["k$i"] = str_repeat(chr(65 + $i % 26), $i % 300);
echo count($table), " ", md5(serialize($table)), "\n";
$words = array_map('strrev', $table);
usort($words, 'strcmp');
echo md5(implode($words)), "\n";
unset($table);
gc_collect_cycles();
echo preg_match_all('/(A+)(B|C)?/', str_repeat("AAAB", 20000), $found), "\n";
$pid = proc_open(['php', '-r', 'echo strlen(str_repeat("x", 5000000));'], [1 => ['pipe', 'w']], $pipes);
echo stream_get_contents($pipes[1]), " ", proc_close($pid), "\n";
$loaded = get_loaded_extensions();
sort($loaded);
echo implode(" ", $loaded), "\n";
END
php work.php
USE_ZEND_ALLOC=0 php work.php
